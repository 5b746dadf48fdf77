"""Makes VMs on this machine: one QEMU process each, with a disk that is made once from Debian's packages (image.sh).

A VM consists of a directory vms/NAME (its disk, the cloud-init seed, vm.json) and the processes whose command line
names that directory. No daemon runs: `timeout` ends QEMU when the VM expires, even if all of bottle has ended."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
from owner import OWNER, SESSION, ours  # noqa: E402

QEMU = "qemu-system-x86_64"
TRY_AGAIN, NO_ROOM, NOT_SET_UP = 75, 73, 78
NUMBERS = 1879048192  # the first number for users and groups


def say(text):
    print(text, file=sys.stderr, flush=True)


def die(text, status=1):
    say(text)
    sys.exit(status)


def env(name, default=""):
    return os.environ.get(name) or default


def number(name):
    value = env(name, "0")
    return int(value) if value.isdigit() else 0


def base(xdg, home, system):
    """Returns our base directory. Root's is one that QEMU can still enter after it has dropped root."""
    if os.environ.get(xdg, "").startswith("/"):  # the XDG Base Directory Specification: ignore a relative path
        return os.path.join(os.environ[xdg], "bottle", "qemu")
    return os.path.join(system if os.geteuid() == 0 else os.path.expanduser(home), "bottle", "qemu")


VMS = os.path.join(base("XDG_STATE_HOME", "~/.local/state", "/var/lib"), "vms")
IMAGES = base("XDG_CACHE_HOME", "~/.cache", "/var/cache")


@contextlib.contextmanager
def locked(path):
    os.makedirs(os.path.dirname(path), 0o711, exist_ok=True)
    while True:
        with open(path, "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # The previous holder may have removed it.
            if os.path.exists(path) and os.path.samestat(os.stat(path), os.fstat(file.fileno())):
                yield
                return


# -- existing VMs

def name_of_request():
    name = env("BOTTLE_VM_NAME")
    if not re.fullmatch(r"[a-z0-9-]{1,40}", name):
        die("BOTTLE_VM_NAME is '%s'" % name)
    return name


def read(directory):
    """Returns a VM's vm.json, or None if there is none."""
    try:
        with open(os.path.join(directory, "vm.json")) as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


def write(directory, vm):
    path = os.path.join(directory, "vm.json")
    with open(path + ".new", "w") as file:
        json.dump(vm, file)
        # Without this, a machine that loses power may leave an empty file.
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)


def is_damaged(directory):
    """Returns whether the directory has a VM's disk but no vm.json that can be read. A `create` that was killed early
    has made no disk."""
    return not read(directory) and os.path.exists(os.path.join(directory, "disk.qcow2"))


def meta_data(directory):
    """Returns the id of a VM from its meta-data, which is never rewritten, or nothing if that cannot be read either."""
    try:
        with open(os.path.join(directory, "meta-data")) as file:
            return {"id": json.load(file)["instance-id"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def remove(directory):
    """Removes a VM's files: the disk first, and vm.json last, so that a removal that ends halfway can be repeated."""
    try:
        for name in sorted(os.listdir(directory), key=lambda name: (name != "disk.qcow2", name == "vm.json")):
            os.unlink(os.path.join(directory, name))
        os.rmdir(directory)
    except OSError as error:
        die("removing its files failed: %s" % error)


def vm_of(directory):
    """Returns what is known about a VM. If its vm.json cannot be read, that is its name and perhaps its id."""
    name = os.path.basename(directory)
    return read(directory) or {"name": name, "id": name, "started": int(is_damaged(directory)), **meta_data(directory)}


def all_vms():
    names = sorted(os.listdir(VMS)) if os.path.isdir(VMS) else []
    return [(os.path.join(VMS, n), vm_of(os.path.join(VMS, n))) for n in names if os.path.isdir(os.path.join(VMS, n))]


def is_ours(vm):
    return ours({SESSION: vm.get("session", ""), OWNER: vm.get("owner", "")})


def find():
    """Returns the directory of the requested VM, by its id if one is given, and otherwise by its name. Returns None
    if this owner has no such VM. A damaged VM is found only by its id, which a `create` of its owner has printed. Exits
    if it cannot be told whether a damaged VM is the requested one."""
    wanted = env("BOTTLE_VM_ID")
    directory = os.path.join(VMS, name_of_request()) if env("BOTTLE_VM_NAME") or not wanted else ""
    if wanted:
        found = next((d for d, vm in all_vms() if vm.get("id") == wanted), None)
        if found:
            return found if is_damaged(found) or is_ours(vm_of(found)) else None
    if is_damaged(directory) and (not wanted or "id" not in meta_data(directory)):
        die("%s/vm.json cannot be read, so it is not known whose VM this is; if its disk is not needed, remove %s" % (directory, directory))
    if wanted or not os.path.isdir(directory):
        return None
    vm = read(directory)
    return directory if not vm or is_ours(vm) else None


def processes(directory):
    """Returns pidfds of QEMU and its `timeout`, which are the processes whose command line names this VM's pid file.
    A process that reuses a pid has another command line."""
    mark, found = (directory + "/pid").encode(), []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            fd = os.pidfd_open(int(entry))
        except OSError:
            continue
        try:
            with open("/proc/%s/cmdline" % entry, "rb") as file:
                words = file.read().split(b"\0")
            if mark in words and os.path.basename(words[0]) in (b"timeout", QEMU.encode()):
                found.append(fd)
                continue
        except OSError:
            pass
        os.close(fd)
    return found


def state(directory, vm):
    fds = processes(directory)
    for fd in fds:
        os.close(fd)
    return "running" if fds else "stopped" if vm.get("started") else "pending"


# -- the disk that every VM starts from

def may_be_used(image, but=None):
    """Returns whether the disk of a VM other than `but` may be an overlay of the image. Nothing records the image that
    the disk of a damaged VM needs, and without that image the disk is lost."""
    return any(is_damaged(d) or vm.get("image") == image for d, vm in all_vms() if d != but)


def image():
    """Returns the directory of disk.raw, vmlinuz and initrd. Makes it if this recipe has not been made yet."""
    if env("BOTTLE_OPT_IMAGE"):
        return os.environ["BOTTLE_OPT_IMAGE"]
    with open(os.path.join(HERE, "image.sh"), "rb") as file:
        recipe = file.read()
    directory = os.path.join(IMAGES, hashlib.sha256(recipe).hexdigest()[:12])
    with locked(os.path.join(IMAGES, "lock")):
        if os.path.exists(directory):
            return directory
        making = directory + ".making"
        shutil.rmtree(making, ignore_errors=True)
        done = subprocess.run(["bash", os.path.join(HERE, "image.sh"), making], stdin=subprocess.DEVNULL, stdout=sys.stderr)
        if done.returncode:
            shutil.rmtree(making, ignore_errors=True)
            die("creating the disk failed", done.returncode)
        os.rename(making, directory)
        for other in os.listdir(IMAGES):
            path = os.path.join(IMAGES, other)
            if path != directory and not may_be_used(path) and re.fullmatch(r"[0-9a-f]{12}(\.making)?", other):
                shutil.rmtree(path, ignore_errors=True)
        return directory


def kvm_works(directory, prefix):
    """Returns whether this kernel boots under KVM on this machine. This is tried once per boot: a kernel without a
    disk panics within a second. `prefix` returns the words that run a command with KVM as QEMU's user."""
    if env("BOTTLE_OPT_ACCEL") == "tcg" or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    with open("/proc/sys/kernel/random/boot_id") as file:
        boot = file.read().strip()
    known = os.path.join(IMAGES, "kvm-" + boot[:13])
    try:
        with open(known) as file:
            return file.read() == "yes"
    except OSError:
        pass
    command = [*prefix(), QEMU, "-accel", "kvm", "-cpu", "host", "-m", "256", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
               "-kernel", os.path.join(directory, "vmlinuz"), "-append", "console=ttyS0 panic=-1"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=8, cwd="/")
        works = done.returncode == 0 and b"Kernel panic" in done.stdout
    except subprocess.TimeoutExpired:
        works = False
    for old in os.listdir(IMAGES):
        if old.startswith("kvm-"):
            os.unlink(os.path.join(IMAGES, old))
    with open(known, "w") as file:
        file.write("yes" if works else "no")
    if not works:
        say("/dev/kvm exists, but no kernel boots with it within 8 s, so the processor is emulated")
    return works


# -- starting a VM

def number_of(path):
    """Returns a user or group number that nothing else on this machine uses."""
    return NUMBERS + int(hashlib.sha256(path.encode()).hexdigest()[:6], 16)


def group_of(image):
    """Returns the only group that may read a baked image, which QEMU gets for it. Returns None if all users may read
    the image."""
    group = os.stat(image).st_gid
    return group if os.geteuid() == 0 and group >= NUMBERS else None


def require_way_to(path, group=None):
    """Ends the hook if a directory above `path` lets only its owner in, because QEMU never runs as root. Ignores
    directories that do not exist yet."""
    while path != "/":
        path = os.path.dirname(path)
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(path)
            if not status.st_mode & (0o010 if status.st_gid == group else 0o001):
                die("QEMU does not run as root, and other users cannot enter %s: let them enter it (chmod o+x), or choose another directory "
                    "with XDG_STATE_HOME, XDG_CACHE_HOME or options.image" % path, NOT_SET_UP)


def let_through(directory):
    """Lets other users enter one of bottle's own directories, but not list it. bottle makes it accessible to one user
    only, and everything that bottle keeps in it has a private mode of its own."""
    with contextlib.suppress(FileNotFoundError):
        status = os.stat(directory)
        if status.st_uid == os.geteuid():
            os.chmod(directory, stat.S_IMODE(status.st_mode) | 0o001)


def unprivileged(directory, paths, group):
    """Returns a separate uid for this QEMU if we are root. Returns None if QEMU keeps our uid."""
    if os.geteuid() != 0:
        return None
    for path in paths:
        require_way_to(path, group)
    uid = number_of(directory)
    for entry in [directory, *(os.path.join(directory, f) for f in os.listdir(directory))]:
        os.chown(entry, uid, uid)
    return uid


def as_user(uid, groups):
    more = ["--groups", ",".join(map(str, groups))] if groups else ["--clear-groups"]
    return ["setpriv", "--reuid", str(uid), "--regid", str(uid), *more, "--inh-caps=-all", "--no-new-privs", "--"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def command(directory, vm, kvm):
    image, cpus, memory = vm["image"], vm["cpus"], vm["memory"]
    boot = ["root=/dev/vda", "rw", "quiet", "loglevel=3", "systemd.show_status=0", "panic=-1", "random.trust_cpu=on", "net.ifnames=0", "ds=nocloud"]
    if not kvm:  # without KVM, the guest cannot reach the real processor
        # The initrd brings the other processors up.
        boot += ["mitigations=off", "tsc=reliable", "no_timer_check", "maxcpus=1", "bottle.emulated"]
    if vm["disk"] > 8:
        boot.append("bottle.grow")
    network = "user,id=net,ipv6=off,net=10.0.2.0/24,hostfwd=tcp:127.0.0.1:%d-10.0.2.15:22" % vm["port"]
    if vm["network"] != "open":  # admits only ssh; nothing that the VM begins leaves it, not even to this machine
        network += ",restrict=on"
    args = [QEMU, "-name", vm["name"], "-pidfile", directory + "/pid", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
            "-machine", "pc,usb=off,vmport=off,hpet=off,mem-merge=off,dump-guest-core=off", "-m", str(memory), "-smp", str(cpus)]
    # erms and fsrm tell the kernel and libc to copy and clear memory with one instruction. Emulated, that works byte by
    # byte.
    args += ["-accel", "kvm", "-cpu", "host"] if kvm else ["-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max,-erms,-fsrm"]
    args += ["-kernel", image + "/vmlinuz", "-initrd", image + "/initrd",
             "-drive", "if=none,id=disk,format=qcow2,cache=unsafe,aio=threads,discard=unmap,file=%s/disk.qcow2" % directory,
             "-device", "virtio-blk-pci,drive=disk",
             "-drive", "if=none,id=seed,format=raw,readonly=on,file=%s/seed.iso" % directory, "-device", "virtio-blk-pci,drive=seed",
             "-netdev", network, "-device", "virtio-net-pci,netdev=net,romfile=", "-device", "virtio-rng-pci", "-rtc", "base=utc"]
    if env("BOTTLE_OPT_CONSOLE"):  # for debugging a boot; the guest's output has no limit
        boot.insert(0, "console=ttyS0")
        args += ["-serial", "file:%s/console.log" % directory]
    return args + ["-append", " ".join(boot)]


def start(directory, vm):
    group = group_of(vm["image"])
    uid = unprivileged(directory, [directory, vm["image"] + "/vmlinuz"], group)

    def as_qemu(kvm):
        return as_user(uid, ([os.stat("/dev/kvm").st_gid] if kvm else []) + ([group] if group else [])) if uid is not None else []
    kvm = kvm_works(vm["image"], lambda: as_qemu(True))
    prefix = as_qemu(kvm)
    for _ in range(5):  # another process may take the port before QEMU does
        vm["port"] = free_port()
        write(directory, vm)
        ttl = ["timeout", "--kill-after=20", str(vm["ttl"])] if vm["ttl"] else []
        with open(directory + "/qemu.log", "w") as log:
            # QEMU gets none of the operator's environment and none of our descriptors, because it continues to run.
            child = subprocess.Popen(prefix + ttl + command(directory, vm, kvm), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                     close_fds=True, cwd="/", env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C"})
        for _ in range(400):
            if child.poll() is not None:
                break
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", vm["port"]), 1):
                vm.update(started=int(time.time()), accel="kvm" if kvm else "tcg")
                write(directory, vm)
                return
            time.sleep(0.05)
        with open(directory + "/qemu.log") as log:
            words = log.read()[-2000:]
        kill(directory)
        if "hostfwd" not in words and "forwarding" not in words:
            die("qemu did not start: " + words)
    die("qemu did not find a free port: " + words)


def kill(directory):
    """Ends every process of the VM, and returns when they are gone."""
    for number_, patience in ((signal.SIGTERM, 3), (signal.SIGKILL, 10)):
        fds = processes(directory)
        if not fds:
            return
        for fd in fds:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(fd, number_)
        until = time.time() + patience
        while fds and time.time() < until:
            time.sleep(0.05)
            for fd in fds:
                os.close(fd)
            fds = processes(directory)
        for fd in fds:
            os.close(fd)
    if processes(directory):
        die("qemu does not end", TRY_AGAIN)


def tool(words, what, package):
    if not shutil.which(words[0]):
        die("%s is missing: apt-get install %s" % (words[0], package), NOT_SET_UP)
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        die("%s: %s" % (what, (done.stdout + done.stderr)[-2000:]), NO_ROOM if "No space left" in done.stderr else 1)


# -- the hooks

def created(vm):
    return {"id": vm["id"], "network": "none" if vm["network"] == "none" else "own"}


def create():
    name = name_of_request()
    if not shutil.which(QEMU):
        die(QEMU + " is missing: apt-get install qemu-system-x86", NOT_SET_UP)
    if os.geteuid() == 0:  # checked now, because making the disk takes minutes
        for own in {os.path.dirname(IMAGES), os.path.dirname(os.path.dirname(VMS))}:
            let_through(own)
        require_way_to(VMS)
        require_way_to(os.path.abspath(env("BOTTLE_OPT_IMAGE", IMAGES)))
    template = image()
    with locked(os.path.join(VMS, name + ".lock")):
        directory = os.path.join(VMS, name)
        vm = read(directory)
        if is_damaged(directory):
            die("there is already a VM %s, whose vm.json cannot be read; use another name, or remove %s" % (name, directory))
        if vm and not is_ours(vm):
            die("there is already a VM %s of another owner, which is left alone; use another name" % name)
        if vm and state(directory, vm) != "pending":
            return created(vm)  # running or ended: a name has only one VM
        kill(directory)
        if os.path.exists(directory):
            remove(directory)
        os.makedirs(directory, 0o700)
        disk = max(number("BOTTLE_VM_DISK_GB"), 8)
        vm = {"id": "qemu-" + os.urandom(6).hex(), "name": name, "session": env("BOTTLE_SESSION"), "owner": env("BOTTLE_OWNER"), "image": template,
              "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "cpus": number("BOTTLE_VM_CPUS") or 2, "memory": number("BOTTLE_VM_MEMORY_MB") or 2048,
              "disk": disk, "ttl": number("BOTTLE_VM_TTL_SECONDS"), "network": env("BOTTLE_OPT_NETWORK", "none"), "port": 0, "started": 0}
        if vm["network"] not in ("open", "none"):
            die("options.network is '%s', and must be none or open" % vm["network"], NOT_SET_UP)
        write(directory, vm)  # from now on, `list` and `destroy` find the VM
        form, base = ("raw", template + "/disk.raw") if os.path.exists(template + "/disk.raw") else ("qcow2", template + "/disk.qcow2")
        tool(["qemu-img", "create", "-q", "-f", "qcow2", "-F", form, "-b", base, directory + "/disk.qcow2", "%dG" % disk], "making the disk", "qemu-utils")
        shutil.copyfile(env("BOTTLE_USER_DATA"), directory + "/user-data")
        with open(directory + "/meta-data", "w") as file:
            json.dump({"instance-id": vm["id"], "local-hostname": name}, file)
        tool(["genisoimage", "-quiet", "-output", directory + "/seed.iso", "-volid", "cidata", "-joliet", "-rock", directory + "/user-data", directory + "/meta-data"],
             "making the seed", "genisoimage")
        os.unlink(directory + "/user-data")
        start(directory, vm)
        return created(vm)


def ssh_info():
    directory = find()
    vm = directory and read(directory)
    if not vm:
        die("the VM's vm.json cannot be read" if directory else "there is no such VM")
    now = state(directory, vm)
    if now == "pending":
        sys.exit(TRY_AGAIN)
    if now == "stopped":
        die("the VM has stopped; its log: " + directory + "/qemu.log")
    return {"host": "127.0.0.1", "port": vm["port"], "user": "bottle"}


def status():
    directory = find()
    return {"status": state(directory, vm_of(directory)) if directory else "gone"}


def destroy():
    directory = find()
    # A `create` that was killed early has left only its lock.
    name = os.path.basename(directory) if directory else env("BOTTLE_VM_NAME")
    if directory or (name and not env("BOTTLE_VM_ID") and os.path.exists(os.path.join(VMS, name_of_request() + ".lock"))):
        with locked(os.path.join(VMS, name + ".lock")):
            directory = find()  # in the meantime, another owner may have made a VM of this name
            if directory:
                kill(directory)
                remove(directory)
            if not os.path.exists(os.path.join(VMS, name)):
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(VMS, name + ".lock"))
    return {"status": "gone"}


def list_():
    if not shutil.which(QEMU):
        die(QEMU + " is missing: apt-get install qemu-system-x86", NOT_SET_UP)
    fields = ("id", "name", "session", "owner", "created")
    return {"machines": [{**{f: vm[f] for f in fields if vm.get(f)}, "id": vm.get("id") or vm["name"], "status": state(d, vm), "kind": "vm", "cost_per_hour": "0"}
                         for d, vm in all_vms()]}


def bake():
    """Keeps the disk of a VM that no longer writes as a separate image, for options.image of the next VM."""
    directory = find()
    vm = directory and read(directory)
    if not vm:
        die("there is no such VM")
    # The VM may be killed at once. Since it was sealed (vm_side.sh), its file system is flushed and frozen, and a flush
    # leaves nothing in QEMU's own caches.
    kill(directory)
    baked = os.path.join(IMAGES, "baked-" + vm["id"])
    making = baked + ".making"
    living = {v["id"] for _, v in all_vms()}
    for left in os.listdir(IMAGES):  # left by a bake that was killed
        if left.startswith("baked-") and left.endswith(".making") and (left == os.path.basename(making) or left[6:-7] not in living):
            shutil.rmtree(os.path.join(IMAGES, left), ignore_errors=True)
    os.makedirs(making, 0o700)
    signal.signal(signal.SIGTERM, lambda *_: (shutil.rmtree(making, ignore_errors=True), os._exit(1)))
    tool(["qemu-img", "convert", "-O", "qcow2", directory + "/disk.qcow2", making + "/disk.qcow2"], "keeping the disk", "qemu-utils")
    for name in ("vmlinuz", "initrd"):
        shutil.copyfile(os.path.join(vm["image"], name), os.path.join(making, name))
    if os.geteuid() == 0:
        # QEMU reads the image as a separate user for each VM. Access comes from a group that only the VMs of this image
        # get. The disk holds agents' images and this program, which other users of this machine must not read.
        group = number_of(baked)
        for name in os.listdir(making):
            os.chown(os.path.join(making, name), 0, group)
            os.chmod(os.path.join(making, name), 0o640)
        os.chown(making, 0, group)
        os.chmod(making, 0o710)
    os.rename(making, baked)
    before = env("BOTTLE_BAKED_BEFORE")
    if os.path.dirname(before) == IMAGES and os.path.basename(before).startswith("baked-") and not may_be_used(before, but=directory):
        shutil.rmtree(before, ignore_errors=True)
    return {"image": baked}


def prepare():
    """Makes the disk now, so that the first `create` does not have to. The contract of docs/providers.md has no such
    hook."""
    return {"image": image()}


def main(hook):
    os.umask(0o077 if hook not in ("prepare", "create") else 0o022)
    print(json.dumps({"create": create, "ssh-info": ssh_info, "status": status, "destroy": destroy, "list": list_, "bake": bake, "prepare": prepare}[hook]()))


if __name__ == "__main__":
    main(sys.argv[1])
