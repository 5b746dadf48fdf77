#!/bin/bash
# bootstrap.sh PROVIDER OUT.tar [PACKAGE...]: an agent's root file system without any image registry, made with this
# machine's own package managers and their own settings: mmdebstrap for the system, npm for the agent.
set -euo pipefail

provider=$1 out=$2
shift 2
case $provider in
  claude) npm=@anthropic-ai/claude-code ;;
  codex) npm=@openai/codex ;;
  shell | command) npm= ;;
  *) echo "bootstrap: unknown provider '$provider' (claude, codex, shell or command)" >&2; exit 2 ;;
esac
for tool in mmdebstrap ${npm:+npm}; do
  command -v "$tool" >/dev/null || { echo "bootstrap: $tool is missing: apt-get install $tool" >&2; exit 1; }
done

work=$(mktemp -d "${TMPDIR:-/var/tmp}/bottle-rootfs.XXXXXX")
trap 'rm -rf "$work"' EXIT
say() { echo "  $*" >&2; }

packages=ca-certificates,git,curl,ripgrep,less,procps,openssh-client,python3,jq
[ -n "$npm" ] && packages+=,nodejs
for package in "$@"; do packages+=,$package; done

say "system: $packages"
hooks=()
if [ -n "$npm" ]; then
  say "agent: $npm"
  # Outside the root file system first: a package's own script sees this machine's platform, which is the image's too.
  npm install --global --prefix "$work/npm" --no-audit --no-fund --loglevel=error "$npm" >&2
  hooks+=(--customize-hook="mkdir -p \"\$1/usr/local/lib\" && cp -a '$work/npm/lib/node_modules' \"\$1/usr/local/lib/\" && cp -a '$work/npm/bin/.' \"\$1/usr/local/bin/\" && chown -R 0:0 \"\$1/usr/local\"")
fi
mmdebstrap --quiet --variant=minbase --include="$packages" \
  --aptopt='Acquire::Languages "none"' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  "${hooks[@]}" \
  --customize-hook='chroot "$1" useradd --uid 1000 --create-home --shell /bin/bash agent' \
  --customize-hook='mkdir -p "$1/workspace" "$1/run/bottle" && chown 1000:1000 "$1/workspace"' \
  --customize-hook='rm -f "$1/etc/apt/apt.conf.d/"*proxy* "$1/etc/hostname" && : > "$1/etc/resolv.conf"' \
  bookworm "$work/rootfs.tar"
mv "$work/rootfs.tar" "$out"
say "done: $(du -h "$out" | cut -f1)"
