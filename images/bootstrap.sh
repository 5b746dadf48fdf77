#!/bin/bash
# bootstrap.sh PROVIDER OUT.tar [--version VERSION [--integrity SHA512...]] [PACKAGE...]
#
# Makes a tar archive of an agent's root file system, without an image registry. The Debian packages come from this
# machine's apt sources. The agent's program (claude or codex; shell and command have none) comes from npm, with this
# machine's settings. Run this script as root or as a user who may make user namespaces. It installs nothing on this
# machine and runs nothing that it downloaded: OUT.tar contains /var/lib/bottle/finish, which runs the scripts of the
# packages. Run that file as root in a container without a network to complete the root file system. OUT.tar.agent says
# what npm installed, in three lines: the package, its version and its integrity. Progress goes to stderr.
#
# The exit status is 0 if the archive was made, 1 if it was not, and 2 for wrong arguments.
set -euo pipefail
export LC_ALL=C.UTF-8
umask 022

say() { printf '%s\n' "$*" >&2; }
die() { say "bootstrap: $*"; exit 1; }

if [ $# -lt 2 ]; then
  say "usage: bootstrap.sh claude|codex|shell|command OUT.tar [--version VERSION [--integrity SHA512...]] [PACKAGE...]"
  exit 2
fi
provider=$1 out=$(realpath -m -- "$2") version=latest integrity=
shift 2
while [ $# -gt 1 ]; do
  case $1 in
    --version) version=$2 ;;
    --integrity) integrity=$2 ;;
    *) break ;;
  esac
  shift 2
done
[[ $version =~ ^(latest|[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?)$ ]] ||
  { say "bootstrap: --version needs an exact version such as 2.1.3, not '$version'"; exit 2; }
packages=(ca-certificates curl diffutils file git jq less openssh-client patch procps python3 ripgrep unzip xz-utils)
for package in "$@"; do  # The manifest names them, so each must be a name, not an option or a path.
  [[ $package =~ ^[a-z0-9][a-z0-9+.-]+$ ]] || { say "bootstrap: '$package' is not a package name"; exit 2; }
  packages+=("$package")
done
case $provider in
  claude) npm_package=@anthropic-ai/claude-code ;;
  codex) npm_package=@openai/codex ;;
  shell | command) npm_package= ;;
  *) say "bootstrap: there is no provider '$provider'; choose claude, codex, shell or command"; exit 2 ;;
esac

command -v mmdebstrap >/dev/null || die "mmdebstrap is missing; install it: apt-get install mmdebstrap"
if [ "$(id -u)" -ne 0 ]; then
  command -v newuidmap >/dev/null || die "without root, this needs newuidmap; install it: apt-get install uidmap"
  grep -qE "^($(id -un)|$(id -u)):" /etc/subuid ||
    die "without root, this needs subordinate ids; as root, run" \
      "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $(id -un)"
fi
[ -z "$npm_package" ] || command -v npm >/dev/null || die "npm is missing; install it: apt-get install npm"
. /etc/os-release
suite=${VERSION_CODENAME:-}
case ${ID:-} in
  debian | ubuntu) [ -n "$suite" ] || die "/etc/os-release does not name the release (VERSION_CODENAME)" ;;
  *)
    die "this machine runs '${ID:-unknown}', and images can be made only from the apt sources of Debian or Ubuntu;" \
      "set 'image' or 'dockerfile' in the bottle"
    ;;
esac
case $(uname -m) in
  x86_64) npm_arch=x64 ;;
  aarch64) npm_arch=arm64 ;;
  *) die "images can be made for x86_64 and aarch64, not for $(uname -m)" ;;
esac

cd /  # so that nothing in the caller's directory can act as a setting
work=$(mktemp -d "${TMPDIR:-/var/tmp}/bottle-bootstrap.XXXXXXXX")
chmod 711 "$work"  # in a user namespace, mmdebstrap is another user
trap 'rm -rf -- "$work" "$out.partial"' EXIT
trap 'exit 130' INT TERM HUP
# Sources and proxies may contain logins, and until `finish` runs, the archive contains both.
for private in "$work"/{machine.list,machine.sources,apt.conf,mmdebstrap.log} "$out.partial"; do (umask 077 && : >"$private"); done
started=$SECONDS

# Both agents are native programs, in a separate package for each platform. So they need neither Node.js nor an install
# script, and nothing that was downloaded runs here. We ask for @latest because npm otherwise chooses an old version if
# this machine's Node.js is old.
mkdir -p "$work/agent/usr/local/bin"
if [ -n "$npm_package" ]; then
  say "[1/3] $npm_package from npm"
  npm install --prefix "$work/npm" --cache "$work/cache" --ignore-scripts --include=optional --os=linux --cpu="$npm_arch" --libc=glibc \
    --no-audit --no-fund --no-update-notifier --no-package-lock --loglevel=error "$npm_package@$version" >"$work/npm.log" 2>&1 ||
    { tail -20 "$work/npm.log" >&2; die "npm could not install $npm_package"; }
  modules=$work/npm/node_modules
  case $provider in
    claude)
      native=$modules/@anthropic-ai/claude-code-linux-$npm_arch/claude
      [ -s "$native" ] || die "$npm_package does not contain a program for linux-$npm_arch"
      install -m 755 "$native" "$work/agent/usr/local/bin/claude"
      ;;
    codex)
      native=$(find "$modules/@openai" -path '*/vendor/*linux*/codex' -type f -perm -u+x | head -n 1)
      [ -n "$native" ] || die "$npm_package does not contain a program for linux-$npm_arch"
      triple=${native#*/vendor/} vendor=${native%%/vendor/*}/vendor
      triple=${triple%%/*}
      mkdir -p "$work/agent/usr/local/lib/codex"
      cp -R "$vendor/$triple/." "$work/agent/usr/local/lib/codex/"
      ln -s "../lib/codex/${native#"$vendor/$triple/"}" "$work/agent/usr/local/bin/codex"
      ;;
  esac
  chmod -R u=rwX,go=rX "$work/agent"
  # npm has checked each package against the registry's data and recorded the result.
  package=node_modules/${native#"$modules/"}
  case $provider in
    claude) package=${package%/*} ;;
    codex) package=${package%%/vendor/*} ;;
  esac
  node -e 'const [file, path] = process.argv.slice(1), p = JSON.parse(require("fs").readFileSync(file)).packages[path];
    console.log([p.name || path.slice(path.lastIndexOf("node_modules/") + 13), p.version, p.integrity].join("\n"))' \
    "$modules/.package-lock.json" "$package" >"$work/installed" || die "npm did not record what it installed"
  { read -r package && read -r version && read -r installed; } <"$work/installed"
  [[ $package =~ ^@?[a-z0-9/._-]+$ && $version =~ ^[0-9A-Za-z.+-]+$ && $installed =~ ^sha512-[A-Za-z0-9+/]{86}==$ ]] ||
    die "npm's record of what it installed is not a name, a version and an integrity"
  say "      $package $version $installed"
  [ -z "$integrity" ] || [[ " $integrity " == *" $installed "* ]] ||
    die "$package $version is not what 'integrity' says; it is $installed; correct 'integrity' if that is the one you want"
fi
tar --owner=0 --group=0 --numeric-owner -C "$work/agent" -cf "$work/agent.tar" .
rm -rf "$work/npm" "$work/cache" "$work/agent"

# The apt sources are those of the machine for this release. Other repositories, which may have one suite for all
# releases, do not belong in a bottle.
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

# Other users can read command lines, so the proxies go into a file. mmdebstrap reads it as this user for the hook
# `upload`, which keeps the mode of the file that it writes to.
for key in http https; do
  proxy=$(apt-config shell value "Acquire::$key::Proxy" | sed -n "s/^value='\(.*\)'$/\1/p")
  [ -z "$proxy" ] || printf 'Acquire::%s::Proxy "%s";\n' "$key" "$proxy" >>"$work/apt.conf"
done
hide='cd "$1/etc/apt" && umask 077 && : >apt.conf.d/98bottle && find sources.list* -type f -exec chmod 600 {} +'

# `finish` runs in a container and runs only Debian's programs. It keeps services from starting and programs from asking
# questions. dpkg needs /etc/passwd before everything else, and awk before mawk is configured. When it is done, the root file
# system contains nothing of this machine (mirrors, names, resolvers), and no file in it raises privileges.
mkdir -p "$work/extra/var/lib/bottle"
cat >"$work/extra/var/lib/bottle/finish" <<'FINISH'
#!/bin/sh
set -eu
export PATH=/usr/sbin:/usr/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
debs=/var/cache/apt/archives
[ -e /usr/bin/awk ] || ln -s mawk /usr/bin/awk
dpkg --force-depends --install "$debs"/base-passwd_*.deb
dpkg --force-depends --unpack "$debs"/*.deb
dpkg --configure --pending
groupadd --gid 1000 agent
useradd --uid 1000 --gid 1000 --create-home --home-dir /home/agent --shell /bin/bash agent
mkdir -p /workspace /run/bottle
chown 1000:1000 /workspace
chmod 0777 /workspace  # the agent works here with the operator's uid, which can be any
chmod 0755 /run/bottle
find / -xdev -type f -perm /6000 -exec chmod a-s {} +
rm -rf /usr/sbin/policy-rc.d "$debs"/*.deb /etc/apt/sources.list* /etc/apt/apt.conf.d/9[89]* /etc/apt/auth.conf* \
  /var/log/* /usr/share/doc/* /usr/share/man/* /usr/share/info/* /var/lib/bottle
mkdir -p /etc/apt/sources.list.d
: >/etc/machine-id
FINISH

chmod 755 "$work/extra/var/lib/bottle/finish"
tar --owner=0 --group=0 --numeric-owner -C "$work/extra" -cf "$work/extra.tar" .

# In the new root, /bin is a link from the start. Otherwise the package usrmerge would make it one later, which fails on
# an overlay.
links="bin sbin lib"
[ "$npm_arch" != x64 ] || links+=" lib32 lib64 libx32"
say "[2/3] $suite with ${#packages[@]} packages from this machine's apt sources"
mode=root
[ "$(id -u)" -eq 0 ] || mode=unshare
include=$(IFS=,; echo "${packages[*]}")
if ! mmdebstrap --mode="$mode" --variant=extract --format=tar --include='?essential' --include='?priority(required)' \
  --include="apt,usr-is-merged,$include" --setup-hook="$hide" --setup-hook="upload $work/apt.conf /etc/apt/apt.conf.d/98bottle" \
  --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
  --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --skip=cleanup/apt/cache --skip=output/dev \
  --setup-hook="cd \"\$1\" && for d in $links; do mkdir -p usr/\$d && ln -s usr/\$d \$d; done" \
  --extract-hook="rm -f \"\$1/etc/resolv.conf\" \"\$1/etc/hostname\"" \
  --extract-hook="tar -C \"\$1\" -xf $work/agent.tar && tar -C \"\$1\" -xf $work/extra.tar" \
  "$suite" "$out.partial" "${sources[@]}" 2> >(tee "$work/mmdebstrap.log" | grep --line-buffered -E '^I: (running apt|downloading|extracting|creating)' >&2); then
  tail -30 "$work/mmdebstrap.log" >&2
  die "mmdebstrap failed; its last messages are above"
fi
if [ -n "$npm_package" ]; then cp -- "$work/installed" "$out.agent"; else rm -f -- "$out.agent"; fi
mv -- "$out.partial" "$out"
say "[3/3] $(du -m --apparent-size -- "$out" | cut -f1) MB unpacked in $((SECONDS - started)) s"
