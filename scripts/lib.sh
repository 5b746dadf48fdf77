# Small helpers for the scripts in this directory. Source this file; it sets -euo pipefail and changes to the project's
# root.
# shellcheck shell=bash
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"

if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then
  BOLD=$'\033[1m' DIM=$'\033[2m' RED=$'\033[31m' GREEN=$'\033[32m' PLAIN=$'\033[0m'
else
  BOLD='' DIM='' RED='' GREEN='' PLAIN=''
fi
say() { printf '%s\n' "${BOLD}$*${PLAIN}" >&2; }
note() { printf '%s\n' "${DIM}  $*${PLAIN}" >&2; }
good() { printf '%s\n' "${GREEN}  ✓ $*${PLAIN}" >&2; }
bad() { printf '%s\n' "${RED}  ✗ $*${PLAIN}" >&2; }
die() { printf '%s\n' "${RED}$*${PLAIN}" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; return; fi
  command -v sudo >/dev/null || die "$0 needs root, and sudo is not installed; run it as root, or install sudo"
  sudo "$@"
}

# need_bottle: exports BOTTLE, the program to test, which is the release build unless it is set.
need_bottle() {
  export BOTTLE=${BOTTLE:-$ROOT/build/release/bottle}
  [ -x "$BOTTLE" ] || die "there is no $BOTTLE: run scripts/build release bottle first, or set BOTTLE"
}

# pytest_as_root [NAME=VALUE...] ARGUMENT...: runs Debian's pytest, which leaves no files beside the tests.
pytest_as_root() {
  local variables=()
  while [[ ${1:-} == [A-Z]*=* ]]; do variables+=("$1"); shift; done
  as_root env "${variables[@]}" PYTHONDONTWRITEBYTECODE=1 PATH="$PATH:/usr/sbin:/sbin" \
    /usr/bin/python3 -m pytest -p no:cacheprovider "$@"
}

# step TITLE COMMAND...: prints one line with the time, and the command's output only if it fails (always with
# VERBOSE=1).
step() {
  local title=$1 log begun=$SECONDS code=0
  shift
  if [ -n "${VERBOSE:-}" ]; then say "$title"; "$@"; return; fi
  log=$(mktemp)
  [ -t 2 ] && printf '%s' "${DIM}  … $title${PLAIN}" >&2
  "$@" >"$log" 2>&1 || code=$?
  [ -t 2 ] && printf '\r\033[K' >&2
  if [ $code = 0 ]; then good "$title ($((SECONDS - begun)) s)"; else bad "$title: exit status $code"; tail -n 60 "$log" >&2; fi
  rm -f "$log"
  return $code
}

# apt_install PACKAGE|COMMAND:PACKAGE...: installs only what is missing. With COMMAND:, the package is not needed if the
# command exists.
apt_install() {
  local missing=() want package command
  for want in "$@"; do
    package=${want#*:} command=
    [ "$package" = "$want" ] || command=${want%%:*}
    if [ -n "$command" ] && PATH=$PATH:/usr/sbin:/sbin command -v "$command" >/dev/null 2>&1; then continue; fi
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return 0
  note "installing: ${missing[*]}"
  as_root true  # sudo asks for its password here, where the operator sees the question
  step "install ${#missing[@]} packages and their dependencies" as_root env DEBIAN_FRONTEND=noninteractive asleep="${asleep:-}" sh -c '
    policy=/usr/sbin/policy-rc.d
    if [ -n "$asleep" ] && [ ! -e $policy ]; then
      trap "rm -f $policy" EXIT
      trap "exit 130" INT TERM HUP
      printf "#!/bin/sh\nexit 101\n" >$policy
      chmod 755 $policy
    fi
    apt-get -qq update && apt-get -qq -y --no-install-recommends install "$@"' sh "${missing[@]}"
}

# apt_install_asleep PACKAGE...: does the same, but keeps Debian from starting the services that it installs.
apt_install_asleep() { local asleep=yes; apt_install "$@"; }

# debian_tree SUITE ARCHITECTURE DIRECTORY PACKAGE...: extracts the packages of a Debian suite and what they depend on,
# from the mirror from which apt gets this system's packages. Runs and configures none of them. Accepts lists that have
# expired, which a mirror has that is kept as it was on some day. Needs mmdebstrap.
debian_tree() {
  local suite=$1 architecture=$2 to=$3 mode=unshare mirror
  [ "$(id -u)" != 0 ] || mode=root
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1)
  [ -n "$mirror" ] || die "apt has no lists of Debian's packages: run apt-get update"
  mmdebstrap --quiet --mode="$mode" --variant=extract --architectures="$architecture" \
    --aptopt='Acquire::Check-Valid-Until "false"' --include="$(IFS=,; printf '%s' "${*:4}")" "$suite" "$to" "$mirror"
}

# engine_answers: checks whether an engine answers at DOCKER_HOST (a Unix socket) or at the default socket.
engine_socket() { local host=${DOCKER_HOST:-unix:///var/run/docker.sock}; printf '%s' "${host#unix://}"; }
engine_answers() { curl -sf -m 5 --unix-socket "$(engine_socket)" http://engine/_ping >/dev/null 2>&1; }
root_answers() { as_root curl -sf -m 5 --unix-socket "$(engine_socket)" http://engine/_ping >/dev/null; }

# join_engine ARG...: if an engine runs that this user may not use (Debian starts docker.io's after installing it), runs
# the script again with ARG... as a member of the engine's group. This affects only this run; the account stays
# unchanged.
join_engine() {
  local group
  if [ "$(id -u)" = 0 ] || engine_answers || ! root_answers; then return 0; fi
  group=$(as_root stat -L -c %g "$(engine_socket)")
  case " 0 $(id -G) " in *" $group "*) return 0 ;; esac
  note "$(id -un) is not in the engine's group; this run joins the group"
  exec sudo -E setpriv --reuid "$(id -u)" --regid "$(id -g)" --groups "$(id -G | tr ' ' ,),$group" -- \
    env HOME="$HOME" PATH="$PATH" USER="$(id -un)" LOGNAME="$(id -un)" ENGINE_LENT=1 "$ROOT/scripts/${0##*/}" "$@"
}
