#!/bin/bash
# bootstrap.sh PROVIDER OUT.tar [PACKAGE...]
#
# Makes an agent's root file system as a tar archive, without any image registry: Debian packages from the machine's
# own apt sources, the agent (claude, codex; shell and command bring none) with the machine's own npm configuration.
# As root, or as anyone who may make user namespaces. Nothing is installed on the machine; no package's install
# script runs outside the new root. OUT.tar.agent says in one line which agent it is. Progress goes to stderr.
# Exit status: 0 made, 1 not made, 2 wrong arguments.
set -euo pipefail
export LC_ALL=C.UTF-8
umask 022

say() { printf '%s\n' "$*" >&2; }
die() { say "bootstrap: $*"; exit 1; }

if [ $# -lt 2 ]; then
  say "usage: bootstrap.sh claude|codex|shell|command OUT.tar [PACKAGE...]"
  exit 2
fi
provider=$1 out=$2
shift 2
packages=(ca-certificates curl diffutils file git jq less openssh-client patch procps python3 ripgrep unzip xz-utils)
for package in "$@"; do  # from a manifest: a name, never an option or a path
  [[ $package =~ ^[a-z0-9][a-z0-9+.-]+$ ]] || { say "bootstrap: '$package' is no package name"; exit 2; }
  packages+=("$package")
done
case $provider in
  claude) npm_package=@anthropic-ai/claude-code ;;
  codex) npm_package=@openai/codex ;;
  shell | command) npm_package= ;;
  *) say "bootstrap: no provider '$provider' (claude, codex, shell, command)"; exit 2 ;;
esac

command -v mmdebstrap >/dev/null || die "mmdebstrap is missing: apt-get install mmdebstrap"
if [ "$(id -u)" -ne 0 ]; then
  command -v newuidmap >/dev/null || die "without root it needs newuidmap: apt-get install uidmap"
  grep -qE "^($(id -un)|$(id -u)):" /etc/subuid || die "without root it needs subordinate ids: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $(id -un)"
fi
[ -z "$npm_package" ] || command -v npm >/dev/null || die "npm is missing: apt-get install npm"
. /etc/os-release
suite=${VERSION_CODENAME:-}
case ${ID:-} in
  debian | ubuntu) [ -n "$suite" ] || die "this machine's release has no code name" ;;
  *) die "'${ID:-unknown}' is neither Debian nor Ubuntu: its apt sources cannot be used; set 'image' or 'dockerfile' in the bottle" ;;
esac
case $(uname -m) in
  x86_64) npm_arch=x64 ;;
  aarch64) npm_arch=arm64 ;;
  *) die "no provider is built for $(uname -m)" ;;
esac

work=$(mktemp -d "${TMPDIR:-/var/tmp}/bottle-bootstrap.XXXXXXXX")
chmod 755 "$work"  # in a user namespace mmdebstrap is another user
trap 'rm -rf -- "$work" "$out.partial"' EXIT
trap 'exit 130' INT TERM HUP
started=$SECONDS

# The agent. Both providers ship a native program in a package of its own per platform, so neither node nor an
# install script is needed. @latest, since npm otherwise picks an old version if the machine's node is old.
mkdir -p "$work/agent/usr/local/bin"
if [ -n "$npm_package" ]; then
  say "[1/3] $npm_package from npm"
  npm install --prefix "$work/npm" --cache "$work/cache" --ignore-scripts --include=optional --os=linux --cpu="$npm_arch" --libc=glibc \
    --no-audit --no-fund --no-update-notifier --no-package-lock --loglevel=error "$npm_package@latest" >"$work/npm.log" 2>&1 ||
    { tail -20 "$work/npm.log" >&2; die "npm could not install $npm_package"; }
  modules=$work/npm/node_modules
  case $provider in
    claude)
      native=$modules/@anthropic-ai/claude-code-linux-$npm_arch/claude
      [ -s "$native" ] || die "$npm_package brought no program for linux-$npm_arch"
      install -m 755 "$native" "$work/agent/usr/local/bin/claude"
      ;;
    codex)
      native=$(find "$modules/@openai" -path '*/vendor/*linux*/codex' -type f -perm -u+x | head -n 1)
      [ -n "$native" ] || die "$npm_package brought no program for linux-$npm_arch"
      triple=${native#*/vendor/} vendor=${native%%/vendor/*}/vendor
      triple=${triple%%/*}
      mkdir -p "$work/agent/usr/local/lib/codex"
      cp -R "$vendor/$triple/." "$work/agent/usr/local/lib/codex/"
      ln -s "../lib/codex/${native#"$vendor/$triple/"}" "$work/agent/usr/local/bin/codex"
      ;;
  esac
  chmod -R u=rwX,go=rX "$work/agent"
fi
tar --owner=0 --group=0 --numeric-owner -C "$work/agent" -cf "$work/agent.tar" .
rm -rf "$work/npm" "$work/cache" "$work/agent"

# The machine's own sources of this very release; other repositories (of one suite fits all) are none of the bottle's.
sources=()
shopt -s nullglob
for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
  [ -f "$list" ] || continue
  grep -E "^deb +(\[[^]]*\] +)?[^ ]+ +$suite(-updates|-security)? " "$list" >>"$work/machine.list" || true
done
[ ! -s "$work/machine.list" ] || sources+=("$work/machine.list")
for list in /etc/apt/sources.list.d/*.sources; do
  awk -v RS= -v ORS='\n\n' -v suite="$suite" \
    '$0 ~ "(^|\n)Types:[^\n]*deb( |\n|$)" && $0 ~ "(^|\n)Suites:([^\n]* )?" suite "(-updates|-security)?( |\n|$)" && $0 !~ "(^|\n)Enabled: *no"' \
    "$list" >>"$work/machine.sources"
done
[ ! -s "$work/machine.sources" ] || sources+=("$work/machine.sources")
[ ${#sources[@]} -gt 0 ] || die "this machine's apt has no source for $suite"

apt_options=()
for key in http https; do
  proxy=$(apt-config shell value "Acquire::$key::Proxy" | sed -n "s/^value='\(.*\)'$/\1/p")
  [ -z "$proxy" ] || apt_options+=("--aptopt=Acquire::$key::Proxy \"$proxy\"")
done

# Runs in the new root's last step; $1 is the root. Nothing of the machine stays in it (mirrors, names, resolvers), no
# file raises privileges, and the agent must start.
cat >"$work/finish.sh" <<'FINISH'
set -eu
root=$1 provider=$2
chroot "$root" groupadd --gid 1000 agent
chroot "$root" useradd --uid 1000 --gid 1000 --create-home --home-dir /home/agent --shell /bin/bash agent
mkdir -p "$root/workspace" "$root/run/bottle"
chown 1000:1000 "$root/workspace"
chmod 0777 "$root/workspace"  # the operator's own uid works here, whichever it is
chmod 0755 "$root/run/bottle"
case $provider in
  claude | codex)
    version=$(HOME=/home/agent chroot --userspec=1000:1000 "$root" "/usr/local/bin/$provider" --version)
    echo "$provider $version" >"$root/etc/bottle-agent"
    echo "      $provider $version" >&2
    ;;
  *) echo "$provider" >"$root/etc/bottle-agent" ;;
esac
rm -rf "$root/home/agent"
chroot "$root" install -d -m 0755 -o 1000 -g 1000 /home/agent
cp -a "$root/etc/skel/." "$root/home/agent/"
chown -R 1000:1000 "$root/home/agent"
find "$root" -xdev -type f -perm /6000 -exec chmod a-s {} +
# Not /tmp and not apt's lists: mmdebstrap's own configuration for its last apt-get is in that /tmp, and without it apt
# would work on the machine's lists. It cleans both itself.
rm -rf "$root"/etc/apt/sources.list* "$root"/etc/apt/apt.conf.d/99mmdebstrap "$root"/etc/apt/auth.conf* "$root"/var/log/* \
  "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/info/*
mkdir -p "$root/etc/apt/sources.list.d"
: >"$root/etc/machine-id"
install -m 0644 /dev/null "$root/etc/resolv.conf"
echo bottle >"$root/etc/hostname"
chmod 0644 "$root/etc/hostname"
FINISH

say "[2/3] ${suite} with ${#packages[@]} packages, from this machine's apt sources"
mode=root
[ "$(id -u)" -eq 0 ] || mode=unshare
include=$(IFS=,; echo "${packages[*]}")
if ! mmdebstrap --mode="$mode" --variant=minbase --format=tar --include="$include" "${apt_options[@]}" \
  --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
  --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --customize-hook="tar-in $work/agent.tar /" \
  --customize-hook="sh $work/finish.sh \"\$1\" $provider" --customize-hook="copy-out /etc/bottle-agent $work" \
  "$suite" "$out.partial" "${sources[@]}" 2> >(tee "$work/mmdebstrap.log" | grep --line-buffered -E '^(I: (running|installing|downloading|extracting)|      )' >&2); then
  tail -30 "$work/mmdebstrap.log" >&2
  die "mmdebstrap failed"
fi
cp -- "$work/bottle-agent" "$out.agent"
mv -- "$out.partial" "$out"
say "[3/3] $(du -m --apparent-size -- "$out" | cut -f1) MB in $((SECONDS - started)) s: $out"
