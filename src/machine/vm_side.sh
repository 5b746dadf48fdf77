#!/bin/sh
# bottle-vm runs as root on a VM that was made for a session. cloud-init installs it.
#
#   arm TTL IDLE NAME  starts the dead-man switch (at every boot); limits are in seconds, 0 means no limit
#   watch              is the switch: when the VM expires or nothing needs it, removes containers and secrets and powers
#                      off
#   rotate             makes a host key: prints its public half, waits for "go", then uses it for later connections
#   wait-engine SEC    waits until the container engine answers, and prints its version
#   seal               removes what is this VM's own and stops all writes, so that the disk can be kept as an image
#   end                does at once what the switch does
set -u
umask 077
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
state=/var/lib/bottle-vm run=/run/bottle-vm
kept=/home/bottle/.local/state/bottle  # where this user's bottle keeps sessions and their results
TICK=${BOTTLE_VM_TICK:-10}

uptime_s() { read -r up rest </proc/uptime; echo "${up%.*}"; }
stored() { number=; read -r number 2>/dev/null <"$state/$1"; echo "${number:-0}"; }

# Adds up the kernel's uptime over reboots, so that a wrong clock neither saves nor ends the VM. A round costs only one
# fork, because a VM may be emulated.
watch() {
  ttl=$(stored ttl) idle=$(stored idle) spent=$(stored spent)
  read -r up rest </proc/uptime
  last=${up%.*}
  active=$last used=
  : >"$run/seen"
  while :; do
    read -r up rest </proc/uptime
    now=${up%.*}
    spent=$((spent + now - last)) last=$now
    echo "$spent" >"$state/spent"
    if [ "$ttl" -gt 0 ] && [ "$spent" -ge "$ttl" ]; then end "its time of $ttl s is up"; fi
    # The heartbeat was touched since the last round. Both times come from the same clock.
    # shellcheck disable=SC3013 # dash and busybox know -nt
    [ "$run/heartbeat" -nt "$run/seen" ] && active=$now used=yes
    : >"$run/seen"
    # Before the first heartbeat, a slow boot does not count as idle.
    patience=$idle
    [ -n "$used" ] || [ "$patience" -ge 900 ] || patience=900
    if [ "$idle" -gt 0 ] && [ $((now - active)) -ge "$patience" ]; then
      # Whether the VM is needed is asked last, because the answer is expensive.
      if is_needed; then active=$now; else end "idle for $((now - active)) s"; fi
    fi
    sleep "$TICK"
  done
}

# Returns whether a session runs, or has left work that its near side has not fetched. Fetched work is removed, so any
# container, volume or file of a session may be work. An engine that does not answer says nothing about what it has.
is_needed() {
  pgrep -u bottle sshd >/dev/null 2>&1 && return 0
  for left in "$kept"/sessions/* "$kept"/results/*; do [ ! -e "$left" ] || return 0; done
  if containers=$(timeout 20 docker ps -aq --filter label=bottle.session 2>/dev/null) &&
    volumes=$(timeout 20 docker volume ls -q --filter label=bottle.session 2>/dev/null); then
    [ -n "$containers$volumes" ]
    return
  fi
  # An engine that never ran has no such directory, unless its data is somewhere else.
  for left in /var/lib/docker/containers/*/ /var/lib/docker/volumes/*/; do [ ! -e "$left" ] || return 0; done
  [ ! -d /var/lib/docker ] && command -v dockerd >/dev/null
}

end() {
  echo "bottle-vm: ending this VM: ${1:-asked to}" | tee /dev/console 2>/dev/null
  # The VM powers off within a minute even if a step hangs.
  (sleep 60; poweroff -f) &
  rm -f /home/bottle/.ssh/authorized_keys
  containers=$(timeout 20 docker ps -aq 2>/dev/null)
  [ -z "$containers" ] || timeout 30 docker rm -f -v $containers >/dev/null 2>&1
  timeout 10 systemctl --no-block stop docker.socket docker.service containerd.service >/dev/null 2>&1
  pkill -KILL -x 'dockerd|containerd'  # a slow one could write again what the next lines remove
  rm -rf /run/bottle /dev/shm/* /var/lib/docker/containers /var/lib/docker/volumes
  find /home/bottle /tmp /var/tmp -mindepth 1 -xdev -delete 2>/dev/null
  sync
  systemctl poweroff || poweroff -f
  sleep 60
  exit 0
}

arm() {
  mkdir -p "$state" "$run"
  chmod 711 "$run"
  [ -s "$state/ttl" ] || { echo "$1" >"$state/ttl"; echo "$2" >"$state/idle"; }
  # sudo resolves the host name, and without this line a resolver that does not answer delays it by seconds.
  grep -qs " $3\$" /etc/hosts || echo "127.0.1.1 $3" >>/etc/hosts
  : >"$run/heartbeat"
  chmod 666 "$run/heartbeat"
  systemd-run --quiet --no-block --collect --unit=bottle-vm --property=DefaultDependencies=no --property=Restart=always --property=RestartSec=2 --property=OOMScoreAdjust=-1000 \
    --setenv=BOTTLE_VM_TICK="$TICK" /usr/local/sbin/bottle-vm watch
}

# The next VM from this disk gets its own name, keys, user and time. Engine, images and program stay.
seal() {
  timeout 60 systemctl stop docker.socket docker.service containerd.service
  rm -rf "$state" /var/lib/cloud /run/cloud-init /home/bottle/.ssh /etc/ssh/ssh_host_* /etc/ssh/bottle_next_host_key* /home/bottle/.local
  rm -f /etc/ssh/sshd_config.d/00-bottle.conf /var/lib/systemd/random-seed
  : >/etc/machine-id
  sed -i '/^127\.0\.1\.1 /d' /etc/hosts
  # The disk is consistent from here on, because every later write blocks forever.
  sync
  fsfreeze -f / && echo '{"sealed":true}'
}

# After a broken connection, another call prints the same new key until that key is in use.
rotate() {
  : >"$run/heartbeat"
  next=/etc/ssh/bottle_next_host_key now=/etc/ssh/ssh_host_ed25519_key
  [ -s "$next.pub" ] || { rm -f "$next"; ssh-keygen -q -t ed25519 -N '' -C '' -f "$next" || exit 1; }
  printf '{"host_key":"%s"}\n' "$(cut -d ' ' -f 1,2 "$next.pub")"
  read -r answer && [ "$answer" = go ] || exit 1
  cp "$next.pub" "$now.pub" && chmod 644 "$now.pub" && mv "$next" "$now" && rm -f "$next.pub" || exit 1
  # cloud-init kept the user-data, which contains the first host key.
  find /var/lib/cloud -xdev -type f \( -name 'user-data*' -o -name 'cloud-config*' -o -name obj.pkl -o -name 'vendor-data*' \) -delete 2>/dev/null
  find /run/cloud-init -type f -name 'instance-data*.json' -delete 2>/dev/null
  systemctl reload ssh.service 2>/dev/null || systemctl reload sshd.service || exit 1
  echo '{"rotated":true}'
}

wait_engine() {
  until=$(($(uptime_s) + $1))
  command -v dockerd >/dev/null || { echo '{"engine":"missing"}'; exit 0; }
  while [ "$(uptime_s)" -lt "$until" ]; do
    if version=$(timeout 20 docker version --format '{{.Server.Version}}' 2>/dev/null) && [ -n "$version" ]; then
      : >"$run/heartbeat"  # the caller reconnects in a moment
      printf '{"engine":"%s","uptime":%s}\n' "$version" "$(uptime_s)"
      exit 0
    fi
    sleep 0.5
  done
  echo '{"engine":"silent"}'
}

case ${1:-} in
  arm) arm "$2" "$3" "$4" ;;
  watch) watch ;;
  rotate) rotate ;;
  wait-engine) wait_engine "$2" ;;
  seal) seal ;;
  end) end ;;
  *) echo "usage: bottle-vm arm|watch|rotate|wait-engine|seal|end" >&2; exit 2 ;;
esac
