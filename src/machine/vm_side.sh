#!/bin/sh
# bottle-vm: what a VM made for a session does for itself. Written there by cloud-init, run as root.
#
#   arm TTL IDLE NAME  starts the dead-man switch (at every boot); seconds, 0: no such limit
#   watch              is it: when the time is up, or nobody is there, removes containers and secrets and powers off
#   rotate             a new host key: prints its public half, waits for "go", then uses it from the next connection on
#   wait-engine SEC    waits until the container engine answers, and prints what it is
#   seal               before the disk is kept as an image: what is this VM's own goes, and nothing is written any more
#   end                what the switch does, now
set -u
umask 077
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
state=/var/lib/bottle-vm run=/run/bottle-vm
TICK=${BOTTLE_VM_TICK:-10}

uptime_s() { read -r up rest </proc/uptime; echo "${up%.*}"; }
stored() { number=; read -r number 2>/dev/null <"$state/$1"; echo "${number:-0}"; }

# Time is counted by the kernel's uptime and added up over reboots: a clock that is a day off neither saves nor ends the VM.
# A round costs one fork: a VM may be emulated.
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
    # Touched since the last round; two times of the same clock, moments apart.
    # shellcheck disable=SC3013 # dash and busybox know -nt
    [ "$run/heartbeat" -nt "$run/seen" ] && active=$now used=yes
    : >"$run/seen"
    # Until the first visitor a slow boot is not idleness.
    patience=$idle
    [ -n "$used" ] || [ "$patience" -ge 900 ] || patience=900
    if [ "$idle" -gt 0 ] && [ $((now - active)) -ge "$patience" ]; then
      # Only now the question that costs something: is a session there?
      if [ -n "$(timeout 20 docker ps -q --filter label=bottle.session --filter status=running 2>/dev/null)" ]; then active=$now
      elif pgrep -u bottle sshd >/dev/null 2>&1; then active=$now
      else end "idle for $((now - active)) s"; fi
    fi
    sleep "$TICK"
  done
}

end() {
  echo "bottle-vm: ending this VM: ${1:-asked to}" | tee /dev/console 2>/dev/null
  # Bounded: whatever hangs, the power goes.
  (sleep 60; poweroff -f) &
  rm -f /home/bottle/.ssh/authorized_keys
  containers=$(timeout 20 docker ps -aq 2>/dev/null)
  [ -z "$containers" ] || timeout 30 docker rm -f -v $containers >/dev/null 2>&1
  timeout 10 systemctl --no-block stop docker.socket docker.service containerd.service >/dev/null 2>&1
  pkill -KILL -x 'dockerd|containerd'  # one that is slow to stop would write again what goes now
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
  # The name resolves to itself: sudo asks, and a resolver that does not answer would cost it seconds each time.
  grep -qs " $3\$" /etc/hosts || echo "127.0.1.1 $3" >>/etc/hosts
  : >"$run/heartbeat"
  chmod 666 "$run/heartbeat"
  systemd-run --quiet --no-block --collect --unit=bottle-vm --property=DefaultDependencies=no --property=Restart=always --property=RestartSec=2 --property=OOMScoreAdjust=-1000 \
    --setenv=BOTTLE_VM_TICK="$TICK" /usr/local/sbin/bottle-vm watch
}

# The next VM from this disk is another machine: its name, keys, user, time begin anew. Engine, images and program stay.
seal() {
  timeout 60 systemctl stop docker.socket docker.service containerd.service
  rm -rf "$state" /var/lib/cloud /run/cloud-init /home/bottle/.ssh /etc/ssh/ssh_host_* /etc/ssh/bottle_next_host_key* /home/bottle/.local
  rm -f /etc/ssh/sshd_config.d/00-bottle.conf /var/lib/systemd/random-seed
  : >/etc/machine-id
  sed -i '/^127\.0\.1\.1 /d' /etc/hosts
  # Whoever takes the disk now finds it whole: a write from here on waits for ever.
  sync
  fsfreeze -f / && echo '{"sealed":true}'
}

# Asked again after a broken connection it gives the same new key, until it is in use.
rotate() {
  : >"$run/heartbeat"
  next=/etc/ssh/bottle_next_host_key now=/etc/ssh/ssh_host_ed25519_key
  [ -s "$next.pub" ] || { rm -f "$next"; ssh-keygen -q -t ed25519 -N '' -C '' -f "$next" || exit 1; }
  printf '{"host_key":"%s"}\n' "$(cut -d ' ' -f 1,2 "$next.pub")"
  read -r answer && [ "$answer" = go ] || exit 1
  cp "$next.pub" "$now.pub" && chmod 644 "$now.pub" && mv "$next" "$now" && rm -f "$next.pub" || exit 1
  # The key of the first minute is in the user-data that cloud-init kept.
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
      : >"$run/heartbeat"  # whoever waited comes back in a moment
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
