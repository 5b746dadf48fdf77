#!/bin/bash
# image.sh DIRECTORY
#
# Makes the disk that every VM starts from, its kernel and a small initrd: disk.raw, vmlinuz and initrd. The Debian
# packages come from this machine's apt sources. Run this script as root or as a user who may make user namespaces. It
# installs nothing on this machine. Progress goes to stderr.
set -euo pipefail
export LC_ALL=C.UTF-8 PATH=$PATH:/usr/sbin:/sbin
umask 022
say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit "${2:-1}"; }
out=${1:?usage: image.sh DIRECTORY}
for command in mmdebstrap mkfs.ext4 qemu-img; do
  command -v "$command" >/dev/null || die "$command is missing; install it: apt-get install mmdebstrap e2fsprogs qemu-utils" 78
done
if [ "$(id -u)" -ne 0 ] && ! command -v newuidmap >/dev/null; then
  die "without root, this needs newuidmap; install it: apt-get install uidmap" 78
fi
. /etc/os-release
case ${ID:-} in
  debian) suite=$VERSION_CODENAME ;;
  *) die "the disk can be made only on Debian, from its packages; this machine runs ${ID:-an unknown system}" 78 ;;
esac
[ "$(uname -m)" = x86_64 ] || die "the disk can be made only on x86_64, not on $(uname -m)" 78

packages=(systemd-sysv udev dbus kmod busybox-static linux-image-cloud-amd64 cloud-init openssh-server sudo docker.io iptables apparmor
          ca-certificates e2fsprogs iproute2 procps rsync git)
work=$(mktemp -d "${TMPDIR:-/var/tmp}/bottle-qemu-image.XXXXXXXX")
trap 'rm -rf -- "$work"' EXIT
trap 'exit 130' INT TERM HUP
chmod 711 "$work"  # in a user namespace, mmdebstrap is another user
# Sources and proxies may contain logins.
for private in machine.list machine.sources apt.conf log; do (umask 077 && : >"$work/$private"); done
mkdir -m 777 "$work/out"

# The apt sources are those of this machine for this release.
sources=()
shopt -s nullglob
for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
  [ -f "$list" ] || continue
  grep -E "^deb +(\[[^]]*\] +)?[^ ]+ +$suite(-updates|-security)? " "$list" >>"$work/machine.list" || true
done
for list in /etc/apt/sources.list.d/*.sources; do
  awk -v RS= -v ORS='\n\n' -v suite="$suite" \
    '$0 ~ "(^|\n)Types:[^\n]*deb( |\n|$)" && $0 ~ "(^|\n)Suites:([^\n]* )?" suite "(-updates|-security)?( |\n|$)" && $0 !~ "(^|\n)Enabled: *no"' \
    "$list" >>"$work/machine.sources"
done
for list in "$work/machine.list" "$work/machine.sources"; do [ ! -s "$list" ] || sources+=("$list"); done
[ ${#sources[@]} -gt 0 ] || die "this machine's apt has no source for $suite" 78
# Other users can read command lines, so the proxies go into a file. mmdebstrap reads it as this user for the hook
# `upload`, which keeps the mode of the file that it writes to.
for key in http https; do
  proxy=$(apt-config shell value "Acquire::$key::Proxy" | sed -n "s/^value='\(.*\)'$/\1/p")
  [ -z "$proxy" ] || printf 'Acquire::%s::Proxy "%s";\n' "$key" "$proxy" >>"$work/apt.conf"
done
hide='cd "$1/etc/apt" && umask 077 && : >apt.conf.d/98bottle && find sources.list* -type f -exec chmod 600 {} +'

# The initrd contains a short script and the modules that the disk needs, in the order of their loading. Debian's initrd
# would find them out at every boot, which takes seconds on an emulated processor.
cat >"$work/init" <<'INIT'
#!/bin/busybox sh
export PATH=/bin
/bin/busybox mkdir -p /proc /sys /dev /root
/bin/busybox mount -t devtmpfs dev /dev
for module in $(/bin/busybox cat /modules.order); do /bin/busybox insmod "/modules/$module"; done
tries=0
until [ -b /dev/vda ]; do
  tries=$((tries + 1))
  [ $tries -lt 600 ] || exec /bin/busybox poweroff -f
  /bin/busybox usleep 50000
done
/bin/busybox mount -t ext4 -o rw,noatime,noinit_itable /dev/vda /root || exec /bin/busybox poweroff -f
# QEMU translates emulated code for the address at which it runs. With random addresses, it would translate each program
# again at each start. Without them, the engine is twice as fast. The guard, the agent and their supervisor turn address
# randomization on again for themselves.
/bin/busybox mount -t proc proc /proc
emulated=
case " $(/bin/busybox cat /proc/cmdline) " in *" bottle.emulated "*) emulated="/bin/busybox linux64 -R" ;; esac
/bin/busybox umount /proc
# The kernel changes its own code when the first control group with limits appears, and again when the last one is
# removed. QEMU 7.2 sometimes keeps an older translation of that code, and the VM hangs. So we make a first group while
# only one processor runs (maxcpus=1), and keep it. The other processors are started after that.
if [ -n "$emulated" ]; then
  /bin/busybox mount -t sysfs sys /sys
  /bin/busybox mount -t cgroup2 cgroup /sys/fs/cgroup
  echo "+cpu +cpuset +memory" >/sys/fs/cgroup/cgroup.subtree_control
  /bin/busybox mkdir /sys/fs/cgroup/first
  echo "100000 100000" >/sys/fs/cgroup/first/cpu.max
  /bin/busybox umount /sys/fs/cgroup
  for online in /sys/devices/system/cpu/cpu*/online; do echo 1 >"$online"; done
  /bin/busybox umount /sys
fi
exec $emulated /bin/busybox switch_root /root /lib/systemd/systemd
INIT

cat >"$work/finish.sh" <<'FINISH'
set -eu
root=$1 work=$2
inside() { chroot "$root" "$@"; }
write() { mkdir -p "$root${1%/*}"; cat >"$root$1"; }

# cloud-init has only this data source and runs only the steps that these VMs need, which all belong to its first stage.
# The later stages have nothing to do, because the engine is already installed. They would only take seconds of an
# emulated processor while a session starts.
write /etc/cloud/cloud.cfg <<'END'
datasource_list: [NoCloud]
disable_root: true
preserve_hostname: false
network: {config: disabled}
users: []
ssh_deletekeys: true
cloud_init_modules: [bootcmd, write-files, set_hostname, users-groups, ssh]
cloud_config_modules: []
cloud_final_modules: []
system_info: {distro: debian, paths: {cloud_dir: /var/lib/cloud}, ssh_svcname: ssh}
END
# Only people who sign in need these files.
rm -f "$root"/etc/cloud/cloud.cfg.d/* "$root"/etc/ssh/ssh_host_* "$root"/etc/update-motd.d/*
write /etc/cloud/ds-identify.cfg <<<'policy: enabled'

# The hardware and the network are always the same. The initrd loads the drivers, no udev looks for more, and nothing
# waits for DHCP.
write /etc/systemd/system/bottle-network.service <<'END'
[Unit]
Description=Set up the network of the VM
DefaultDependencies=no
Before=network-pre.target network.target cloud-init-local.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/sbin/ip -batch /etc/bottle-network
[Install]
WantedBy=sysinit.target
END
write /etc/bottle-network <<'END'
link set lo up
addr add 10.0.2.15/24 dev eth0
link set eth0 up
route add default via 10.0.2.2
END
rm -f "$root/etc/resolv.conf"
write /etc/resolv.conf <<<'nameserver 10.0.2.3'
write /etc/hosts <<<'127.0.0.1 localhost'
write /etc/hostname <<<'bottle'
: >"$root/etc/machine-id"
rm -f "$root/var/lib/dbus/machine-id"
write /etc/fstab </dev/null
write /etc/systemd/journald.conf.d/10-vm.conf <<'END'
[Journal]
Storage=volatile
RuntimeMaxUse=16M
ForwardToConsole=no
END
# The disk of a VM may be larger than the one that it starts from.
write /etc/systemd/system/bottle-grow.service <<'END'
[Unit]
Description=Let the file system fill the disk
ConditionKernelCommandLine=bottle.grow
[Service]
Type=oneshot
ExecStart=/sbin/resize2fs /dev/vda
[Install]
WantedBy=multi-user.target
END
# The engine needs nothing that cloud-init makes, so it starts at the same time, on the other processor.
for unit in docker.service docker.socket containerd.service dbus.service dbus.socket; do
  write "/etc/systemd/system/$unit.d/10-vm.conf" <<'END'
[Unit]
DefaultDependencies=no
Conflicts=shutdown.target
Before=shutdown.target
After=bottle-network.service systemd-tmpfiles-setup.service
END
done
# The engine starts itself again for each step that sets up a container's network and files. This setting keeps those
# short processes from collecting garbage.
for unit in docker.service containerd.service; do
  write "/etc/systemd/system/$unit.d/20-memory.conf" <<'END'
[Service]
Environment=GOGC=400
END
done
# A drop-in cannot remove the ordering of a unit's own file, so the file is changed.
sed -E '/^(After|Wants)=/s/(network-online|firewalld)\.(target|service) ?//g' "$root/lib/systemd/system/docker.service" | write /etc/systemd/system/docker.service
write /etc/containerd/config.toml <<'END'
version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
END
# The engine manages control groups itself. Asking systemd for each of them over D-Bus takes longer.
write /etc/docker/daemon.json <<'END'
{"log-driver": "local", "storage-driver": "overlay2", "ip6tables": false, "exec-opts": ["native.cgroupdriver=cgroupfs"]}
END
inside systemctl -q enable bottle-network.service bottle-grow.service docker.service containerd.service ssh.service
inside systemctl -q mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
  systemd-tmpfiles-clean.timer getty@tty1.service getty.target serial-getty@ttyS0.service systemd-update-utmp.service remote-fs.target \
  systemd-update-utmp-runlevel.service systemd-journal-flush.service systemd-pstore.service systemd-firstboot.service systemd-machine-id-commit.service \
  dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount \
  modprobe@drm.service modprobe@configfs.service modprobe@fuse.service modprobe@dm_mod.service modprobe@loop.service modprobe@efi_pstore.service \
  systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udev-trigger.service systemd-udev-settle.service \
  systemd-networkd.service systemd-networkd.socket systemd-network-generator.service systemd-logind.service systemd-binfmt.service systemd-repart.service \
  systemd-sysusers.service systemd-modules-load.service kmod-static-nodes.service systemd-pcrphase.service systemd-pcrphase-sysinit.service \
  proc-sys-fs-binfmt_misc.automount apparmor.service cloud-config.service cloud-final.service cloud-init-hotplugd.socket rsync.service

# The modules are those that the initrd needs to see the disk, and those that the engine would have the kernel load,
# each with a process.
version=$(ls "$root/lib/modules")
cp "$root/boot/vmlinuz-$version" "$work/out/vmlinuz"
initrd=$work/out/initrd.d
mkdir -p "$initrd/bin" "$initrd/modules"
cp "$root/bin/busybox" "$initrd/bin/"
install -m 755 "$work/init" "$initrd/init"
for module in virtio_pci virtio_blk ext4 virtio_net virtio_rng isofs overlay br_netfilter veth nft_chain_nat nft_compat xt_addrtype xt_conntrack \
  xt_MASQUERADE xt_nat xt_tcpudp unix_diag xfrm_user; do
  inside modprobe --set-version "$version" --show-depends --ignore-install "$module"
done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' | while read -r path; do
  name=${path##*/}
  cp "$root$path" "$initrd/modules/"
  case $name in *.xz) unxz "$initrd/modules/$name"; name=${name%.xz} ;; esac
  echo "$name" >>"$initrd/modules.order"
done
(cd "$initrd" && find . | "$root/bin/busybox" cpio -o -H newc 2>/dev/null) >"$work/out/initrd"
rm -rf "$initrd"

# This removes modules of hardware that a VM does not have, documentation and caches.
(cd "$root/lib/modules/$version/kernel" && rm -rf sound drivers/gpu drivers/infiniband drivers/media drivers/usb drivers/hid drivers/bluetooth net/bluetooth net/wireless)
inside depmod "$version"
rm -rf "$root"/boot/* "$root"/var/lib/apt/lists/* "$root"/var/cache/* "$root"/var/log/* "$root"/usr/share/man/* "$root"/usr/share/doc/* \
  "$root"/usr/share/info/* "$root"/etc/apt/sources.list* "$root"/etc/apt/apt.conf.d/9[89]* "$root"/tmp/* "$root"/var/lib/cloud
mkdir -p "$root/etc/apt/sources.list.d" "$root/var/cache/apt/archives/partial" "$root/var/lib/apt/lists/partial"
find "$root" -xdev -type f -perm /6000 ! -name sudo -exec chmod a-s {} +

# The file system has no journal, because a VM that lost its power is destroyed, not repaired.
truncate -s 8G "$work/out/disk.raw"
mkdir "$work/tree"
# The bind mount shows the tree without what is mounted in it.
unshare --mount sh -euc 'mount --make-rprivate / && mount --bind "$1" "$2/tree" &&
  mkfs.ext4 -q -F -m 0 -O ^has_journal -E lazy_itable_init=1,nodiscard -L bottle -d "$2/tree" "$2/out/disk.raw"' sh "$root" "$work"
FINISH

say "making the disk of the VMs from ${#packages[@]} Debian packages; this takes a minute or two, once"
started=$SECONDS mode=root
[ "$(id -u)" -eq 0 ] || mode=unshare
include=$(IFS=,; echo "${packages[*]}")
if ! INITRD=No mmdebstrap --mode="$mode" --variant=minbase --format=null --skip=cleanup --include="$include" --setup-hook="$hide" \
  --setup-hook="upload $work/apt.conf /etc/apt/apt.conf.d/98bottle" \
  --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/info/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' --customize-hook="bash $work/finish.sh \"\$1\" $work" \
  "$suite" /dev/null "${sources[@]}" 2> >(tee "$work/log" | grep --line-buffered -E '^I: (running|installing|downloading|extracting)' >&2); then
  tail -30 "$work/log" >&2
  die "mmdebstrap failed; its last messages are above"
fi
mkdir -p "$out"
cp --sparse=always "$work/out/disk.raw" "$work/out/vmlinuz" "$work/out/initrd" "$out/"
say "made in $((SECONDS - started)) s: $(du -m -- "$out/disk.raw" | cut -f1) MB"
