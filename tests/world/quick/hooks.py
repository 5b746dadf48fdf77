"""A provider (docs/providers.md) whose VMs start in a second. Each VM is a namespace behind the one that plays the
internet, with a real sshd, a real dockerd, and the parts of cloud-init that bottle's user-data needs. It tests what
happens around a VM; qemu tests a real hypervisor.

The options are world (the world's directory), net (its namespace), image (the result of `bake`), network (none: reports
that the VM has no network), sealed (the VM really has none), deliver (a file that is put into the user's home as
`token`) and fault (what fails). QUICK_LINK in the environment is the device and the address of another way out of the
VM; it is not an option, because options decide which baked disk is used.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
WORLD, NET = os.environ.get("BOTTLE_OPT_WORLD", ""), os.environ.get("BOTTLE_OPT_NET", "")
VMS, BAKED = os.path.join(WORLD, "vms"), os.path.join(WORLD, "baked")
CALLS = os.path.join(WORLD, "vm-calls.jsonl")


def run(*args, check=True):
    done = subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if check and done.returncode:
        sys.exit("%s: %s" % (" ".join(args), done.stderr))
    return done


def read(name):
    with contextlib.suppress(OSError, ValueError), open(os.path.join(VMS, name, "vm.json")) as file:
        return json.load(file)


def all_vms():
    return [vm for vm in map(read, sorted(os.listdir(VMS)) if os.path.isdir(VMS) else []) if vm]


def find():
    name, vm_id = os.environ.get("BOTTLE_VM_NAME"), os.environ.get("BOTTLE_VM_ID")
    return next((vm for vm in all_vms() if (vm["id"] == vm_id if vm_id else vm["name"] == name) and vm["owner"] == os.environ["BOTTLE_OWNER"]), None)


def alive(vm):
    with contextlib.suppress(OSError), open("/proc/%d/cmdline" % vm.get("pid", 0)) as file:
        return os.path.join(VMS, vm["name"]) in file.read()
    return False


def fault(name):
    return os.environ.get("BOTTLE_OPT_FAULT") == name


def save(vm):
    where = os.path.join(VMS, vm["name"], "vm.json")
    with open(where + ".part", "w") as file:
        json.dump(vm, file)
    os.rename(where + ".part", where)


def create():
    if fault("create-hangs"):
        time.sleep(3600)
    if fault("create-quota"):
        print("no room for another", file=sys.stderr)
        sys.exit(73)
    name = os.environ["BOTTLE_VM_NAME"]
    vm = read(name)
    if vm and vm["owner"] != os.environ["BOTTLE_OWNER"]:
        sys.exit("there is already a VM %s of another owner" % name)
    if not vm:
        slot = next(n for n in range(60) if n not in {vm["slot"] for vm in all_vms()})
        vm = {"name": name, "id": "quick-" + os.urandom(4).hex(), "slot": slot, "ip": "203.0.115.%d" % (4 * slot + 2),
              "session": os.environ["BOTTLE_SESSION"], "owner": os.environ["BOTTLE_OWNER"], "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        vm["ns"] = NET.rpartition("-")[0] + "-vm%d" % slot
        os.makedirs(os.path.join(VMS, name), exist_ok=True)
        save(vm)
    if fault("create-half"):
        print("the power went", file=sys.stderr)
        sys.exit(1)
    if not vm.get("pid"):
        start(vm)
    if fault("create-garbage"):
        print("Created!")
        sys.exit(0)
    return {"id": vm["id"], "cost_per_hour": "0.001 USD", "network": os.environ.get("BOTTLE_OPT_NETWORK", "own")}


def start(vm):
    directory = os.path.join(VMS, vm["name"])
    with open(os.environ["BOTTLE_USER_DATA"]) as file:
        config = json.loads(file.read().split("\n", 1)[1])
    parts = {"host_key": config["ssh_keys"]["ed25519_private"], "host_key.pub": config["ssh_keys"]["ed25519_public"],
             "authorized_keys": "\n".join(config["users"][0]["ssh_authorized_keys"]) + "\n", "bootcmd": json.dumps(config["bootcmd"][0]),
             "sshd_config": config["write_files"][0]["content"], "user-data": json.dumps(config)}
    if os.environ.get("BOTTLE_OPT_DELIVER"):  # as a module of Terraform may do
        with open(os.environ["BOTTLE_OPT_DELIVER"]) as file:
            parts["delivered"] = file.read()
    for name, text in parts.items():
        with open(os.path.join(directory, name), "w") as file:
            file.write(text)
        os.chmod(os.path.join(directory, name), 0o600)
    image = os.environ.get("BOTTLE_OPT_IMAGE")
    if image:
        copy_engine(os.path.join(image, "docker"), directory)
        run("cp", "-a", os.path.join(image, "home"), directory)
    inner, outer = vm["ip"], vm["ip"].rpartition(".")[0] + ".%d" % (4 * vm["slot"] + 1)
    end = "vm%d" % vm["slot"]
    run("ip", "netns", "add", vm["ns"])
    run("ip", "-n", vm["ns"], "link", "set", "lo", "up")
    run("ip", "-n", vm["ns"], "link", "add", "up0", "type", "veth", "peer", "name", end, "netns", NET)
    for ns, device, address in ((vm["ns"], "up0", inner), (NET, end, outer)):
        run("ip", "-n", ns, "addr", "add", address + "/30", "dev", device)
        run("ip", "-n", ns, "link", "set", device, "up")
    run("ip", "-n", vm["ns"], "route", "add", "default", "via", outer)
    if os.environ.get("QUICK_LINK"):
        device, address = os.environ["QUICK_LINK"].split()
        run("ip", "-n", vm["ns"], "link", "add", device, "type", "veth", "peer", "name", "beyond")
        run("ip", "-n", vm["ns"], "addr", "add", address, "dev", device)
        for name in (device, "beyond"):
            run("ip", "-n", vm["ns"], "link", "set", name, "up")
    run("nsenter", "--net=/run/netns/" + NET, "--", "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
    with open(os.path.join(directory, "log"), "w") as log:
        child = subprocess.Popen(["nsenter", "--net=/run/netns/" + vm["ns"], "--", "unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL",
                                  "sh", os.path.join(HERE, "machine.sh"), directory, inner], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 start_new_session=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    vm["pid"] = child.pid
    save(vm)
    if os.environ.get("BOTTLE_OPT_SEALED"):  # the VM has no network, so nothing that starts on it can reach anything
        run("nsenter", "--net=/run/netns/" + vm["ns"], "--", "iptables", "-w", "-A", "OUTPUT", "-o", "up0", "-m", "conntrack", "--ctstate", "NEW", "-j", "DROP")


def copy_engine(data, into):
    """Copies an engine's data. Links the files of layers, because an engine never writes to them, and linking is
    fast."""
    os.mkdir(os.path.join(into, "docker"))
    for name in os.listdir(data):
        run("cp", "-al" if name == "overlay2" else "-a", os.path.join(data, name), os.path.join(into, "docker"))


def ssh_info():
    vm = find()
    if not vm:
        sys.exit("there is no such VM")
    if fault("ssh-info-garbage"):
        return {"host": "-oProxyCommand=touch /tmp/pwned", "port": 22}
    with contextlib.suppress(OSError), open(os.path.join(VMS, vm["name"], "sshd.log")) as file:
        if "Server listening" in file.read():
            return {"host": vm["ip"], "port": 22, "user": "bottle"}
    if not alive(vm):
        with open(os.path.join(VMS, vm["name"], "log")) as file:
            sys.exit("it has stopped: " + file.read()[-1000:])
    sys.exit(75)


def put_secret():
    """Stores a secret that can be read once, and only on that machine, as from a cloud's metadata service."""
    vm, secret = find(), sys.stdin.read()
    store = os.path.join(VMS, vm["name"], "store")
    os.makedirs(store, exist_ok=True)
    os.chown(store, 4243, 4243)
    path = os.path.join(store, os.environ["BOTTLE_SECRET_NAME"])
    with open(path, "w") as file:
        file.write(secret)
    os.chown(path, 4243, 4243)
    inside = "/srv/store/" + os.environ["BOTTLE_SECRET_NAME"]
    return {"fetch": "cat %s && rm %s" % (inside, inside)}


def bake():
    vm = find()
    image = os.path.join(BAKED, vm["id"])
    os.makedirs(image)
    copy_engine(os.path.join(VMS, vm["name"], "docker"), image)
    run("cp", "-a", "/proc/%d/root/home/bottle" % vm["pid"], image + "/home")  # the process that lives as long as the VM
    if before := os.environ["BOTTLE_BAKED_BEFORE"]:
        shutil.rmtree(before)
    return {"image": image}


def status():
    vm = find()
    return {"status": "gone" if not vm else "running" if alive(vm) else "stopped"}


def kill(vm):
    while pids := ([vm["pid"]] if alive(vm) else []) + run("ip", "netns", "pids", vm["ns"], check=False).stdout.split():
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        time.sleep(0.05)


def destroy():
    vm = find()
    if fault("destroy-lies"):
        return {"status": "gone"}
    if fault("destroy-again"):  # twice
        mark = os.path.join(WORLD, "again")
        with open(mark, "a") as file:
            file.write("x")
        if os.path.getsize(mark) < 3:
            sys.exit(75)
    if vm:
        kill(vm)
        run("ip", "-n", NET, "link", "del", "vm%d" % vm["slot"], check=False)  # otherwise it would disappear only some time after its namespace
        run("ip", "netns", "del", vm["ns"], check=False)
        shutil.rmtree(os.path.join(VMS, vm["name"]))
    elif re.fullmatch("[a-z0-9-]+", os.environ.get("BOTTLE_VM_NAME", "")) and not read(os.environ["BOTTLE_VM_NAME"]):  # the hook created it and died before it recorded it
        shutil.rmtree(os.path.join(VMS, os.environ["BOTTLE_VM_NAME"]), ignore_errors=True)
    return {"status": "gone"}


def list_():
    return {"machines": [{**{key: vm[key] for key in ("id", "name", "session", "owner", "created")}, "status": "running" if alive(vm) else "stopped",
                          "kind": "vm", "cost_per_hour": "0.001 USD"} for vm in all_vms()]}


HOOKS = {"create": create, "ssh-info": ssh_info, "status": status, "destroy": destroy, "list": list_, "put-secret": put_secret, "bake": bake}

if __name__ == "__main__":
    if not WORLD or not NET:
        print("set options.world and options.net", file=sys.stderr)
        sys.exit(78)
    os.makedirs(VMS, exist_ok=True)
    hook = os.path.basename(sys.argv[1])
    with open(CALLS, "a") as log:
        log.write(json.dumps({"time": time.time(), "hook": hook, "name": os.environ.get("BOTTLE_VM_NAME"), "id": os.environ.get("BOTTLE_VM_ID")}) + "\n")
    with open(os.path.join(WORLD, "vms.lock"), "w") as lock:
        if not (fault("create-hangs")):
            fcntl.flock(lock, fcntl.LOCK_EX)
        print(json.dumps(HOOKS[hook]()))
