#!/bin/sh
# The first process of a quick VM (tests/world/quick/hooks.py), in namespaces of its own: net, mount, pid. What a VM has for itself is
# private here before anything of it runs: what the VM's own program (src/machine/vm_side.sh) removes and powers off is this machine's alone.
#
#   machine.sh DIRECTORY ADDRESS
set -eu
umask 022
mount --make-rprivate /
for d in /tmp /var/tmp /home /run /var/lib /dev/shm /mnt; do [ "$d" = "$1" ] || shared="${shared:-} $d"; done
mount --bind "$1" /srv
chmod 755 /srv
for d in $shared; do mount -t tmpfs -o mode=1777 none "$d"; done
chmod 755 /home /run /var/lib
for d in etc usr/local; do
  mkdir -p "/mnt/$d" "/mnt/work/$d"
  mount -t overlay -o "lowerdir=/$d,upperdir=/mnt/$d,workdir=/mnt/work/$d" none "/$d"
done
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mkdir -p /var/lib/docker /run/sshd /run/root /srv/docker /usr/local/sbin /usr/local/bin
mount --bind /srv/docker /var/lib/docker

# What a distribution has: users, sudo for one program, systemd's two verbs, a power switch.
for f in passwd group shadow; do rm -f "/etc/$f"; done
printf 'root:x:0:0::/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/bin/false\nbottle:x:4243:4243::/home/bottle:/bin/sh\n' >/etc/passwd
printf 'root:x:0:\nnogroup:x:65534:\nbottle:x:4243:\n' >/etc/group
printf 'root:*:19000:0:99999:7:::\nbottle:*:19000:0:99999:7:::\n' >/etc/shadow
install -m 4755 /usr/bin/setpriv /run/root/setpriv
program() { cat >"$1"; chmod 755 "$1"; }
program /usr/local/bin/sudo <<'END'
#!/bin/sh
[ "$1 $2" = "-n /usr/local/sbin/bottle-vm" ] || exit 1
shift
exec /run/root/setpriv --reuid 0 --regid 0 --clear-groups -- "$@"
END
program /usr/local/sbin/systemctl <<'END'
#!/bin/sh
case $* in
  "reload ssh.service") kill -HUP "$(cat /run/sshd.pid)" ;;
  *stop*docker*) kill "$(cat /run/docker.pid)" 2>/dev/null; for i in $(seq 1200); do [ -e /run/docker.pid ] || exit 0; sleep 0.1; done ;;
  poweroff) kill -TERM 1 ;;
esac
END

program /usr/local/sbin/poweroff <<'END'
#!/bin/sh
kill -TERM 1
END
program /usr/local/sbin/fsfreeze </dev/null
program /usr/local/bin/containerd <<'END'  # World.dockerd_command explains this
#!/bin/sh
printf '\n[plugins.scheduler]\n  pause_threshold = 0.0001\n' >>"$2"
exec /usr/bin/containerd "$@"
END
program /usr/local/sbin/systemd-run <<'END'
#!/bin/sh
while :; do case $1 in --setenv=*) export "${1#--setenv=}" ;; --*) ;; *) break ;; esac; shift; done
setsid "$@" </dev/null >/srv/bottle-vm.log 2>&1 &
END

# What cloud-init does with our user-data.
mkdir -p /home/bottle/.ssh /etc/ssh/sshd_config.d
[ ! -d /srv/home ] || cp -a /srv/home/. /home/bottle/
cp /srv/authorized_keys /home/bottle/.ssh/
[ ! -f /srv/delivered ] || mv /srv/delivered /home/bottle/token
chown -R 4243:4243 /home/bottle
rm -f /etc/ssh/ssh_host_*
cp /srv/host_key /etc/ssh/ssh_host_ed25519_key
cp /srv/host_key.pub /etc/ssh/ssh_host_ed25519_key.pub
rm /srv/host_key
chmod 600 /etc/ssh/ssh_host_ed25519_key
mount -t sysfs none /sys 2>/dev/null || true
{ cat /srv/sshd_config; printf 'ListenAddress %s\nUsePAM no\nStrictModes no\nPidFile /run/sshd.pid\nLogLevel VERBOSE\n' "$2"; } >/etc/ssh/sshd_config
BOTTLE_VM_TICK=1 python3 -ISc 'import json, os; argv = json.load(open("/srv/bootcmd")); os.execvp(argv[0], argv)'
unshare --mount /usr/sbin/sshd -f /etc/ssh/sshd_config -E /srv/sshd.log  # whose sessions see this machine's interfaces: this /sys stays there
umount /sys 2>/dev/null || true
GOGC=400 dockerd --data-root /var/lib/docker --exec-root /run/docker --pidfile /run/docker.pid -H unix:///run/docker.sock --group 4243 --dns 20.30.40.53 >/srv/dockerd.log 2>&1 &
exec python3 -ISc '
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # and with it all that is here
while True:
    try:
        os.wait()
    except ChildProcessError:
        time.sleep(0.1)
'
