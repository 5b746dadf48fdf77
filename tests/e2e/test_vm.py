"""Tests VMs of the qemu provider: a real machine with real cloud-init, booted once for all tests of this file. QEMU
runs in the world's host namespace, so whatever its network lets through ends in that namespace. The last tests destroy
the machine."""

import json
import os
import re
import signal
import subprocess
import time

import pytest

import world as world_module
from look import kill, kill_for_sure, standing
from operators import wait_for


class Machine:
    def __init__(self, lab, owner, told):
        self.lab, self.owner, self.told, self.ssh_info = lab, owner, told, told["ssh"]

    def ssh(self, *command, known_hosts=None, user=None, timeout=120, wait=True):
        s = self.ssh_info
        argv = ["nsenter", "--net=/run/netns/" + self.lab.world.host_ns, "--", "ssh", "-F", "none", "-T", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes",
                "-o", "UserKnownHostsFile=" + (known_hosts or s["known_hosts"]), "-o", "GlobalKnownHostsFile=/dev/null", "-o", "HostKeyAlias=" + s["host_key_alias"],
                "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-i", s["identity"], "-o", "ConnectTimeout=30", "-p", str(s["port"]), "-l", user or s["user"], s["host"], *command]
        if not wait:
            return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=timeout)


@pytest.fixture(scope="module")
def machine(lab):
    owner = lab.start("vm", "create", "lab", "--json")
    line = owner.stdout.readline()
    assert line, open(lab.world.path("vm.stderr")).read()[-3000:]
    machine = Machine(lab, owner, json.loads(line))
    print("seconds:", machine.told["seconds"])
    visitor = machine.ssh("sleep 3600", wait=False)  # otherwise the VM would be idle between the tests
    assert machine.ssh("true").returncode == 0 and visitor.poll() is None
    machine.visitor = visitor
    yield machine
    for child in (visitor, owner):
        child.kill()
        child.wait()


# -- what its network allows, tested by a kernel that boots in seconds

PROBE = """#!/bin/busybox sh
export PATH=/bin
/bin/busybox mkdir -p /proc /sys /dev
/bin/busybox mount -t devtmpfs dev /dev
for module in $(/bin/busybox cat /modules.order); do /bin/busybox insmod "/modules/$module"; done
/bin/busybox ip link set lo up; /bin/busybox ip addr add 10.0.2.15/24 dev eth0; /bin/busybox ip link set eth0 up; /bin/busybox ip route add default via 10.0.2.2
reached() { case $3 in *CANARY*|*HTTP/*) echo "reached $1 $2" >/dev/console ;; esac; }
for a in @ADDRESSES@; do for p in 22 53 80 2375; do
  reached $a $p "$(echo x | /bin/busybox timeout 30 /bin/busybox nc -w 15 $a $p 2>&1)" &
  reached $a udp-$p "$(echo x | /bin/busybox timeout 3 /bin/busybox nc -u -w 2 $a $p 2>&1)" &
done; done
wait
echo "probes done" >/dev/console
/bin/busybox poweroff -f
"""


def newc(name, mode, data):
    """Returns one entry of a cpio archive."""
    fields = [1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    head = ("070701" + "".join("%08X" % field for field in fields) + name + "\0").encode()
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


LOOPBACK, OPERATORS = "10.0.2.2", ["169.254.169.254", "192.168.1.1", "10.0.0.1", "100.100.100.200"]


@pytest.mark.parametrize("network", ["none", "open"])
def test_what_root_of_the_vm_can_reach(lab, tmp_path, monkeypatch, network):
    """`open` shows that the probes and the canaries would reveal a hole."""
    world, since = lab.world, time.time()
    monkeypatch.syspath_prepend(os.path.join(world_module.ROOT, "providers", "qemu"))
    monkeypatch.setenv("BOTTLE_OPT_CONSOLE", "1")
    import qemu
    addresses = [LOOPBACK, "10.0.2.3", world_module.HOST_IP, *OPERATORS, "1.1.1.1"]
    init = newc("init", 0o100755, PROBE.replace("@ADDRESSES@", " ".join(addresses)).encode()) + newc("TRAILER!!!", 0, b"")
    (tmp_path / "initrd").write_bytes(open(os.path.join(lab.image, "initrd"), "rb").read() + init)  # the /init of the later archive takes effect
    os.symlink(os.path.join(lab.image, "vmlinuz"), tmp_path / "vmlinuz")
    for name, form in (("disk.qcow2", "qcow2"), ("seed.iso", "raw")):
        world_module.run("qemu-img", "create", "-q", "-f", form, str(tmp_path / name), "1M")
    vm = {"name": "probe", "image": str(tmp_path), "cpus": 1, "memory": 256, "disk": 8, "network": network, "port": 2222}
    subprocess.run(["nsenter", "--net=/run/netns/" + world.host_ns, "--", *qemu.command(str(tmp_path), vm, False)], timeout=600, check=True)
    console = (tmp_path / "console.log").read_text(errors="replace")
    assert "probes done" in console, console[-3000:]
    hits = world.hits(since)
    if network == "none":
        assert "reached" not in console and hits == [], (console, hits)
    else:
        assert all("reached %s 80" % a in console for a in [LOOPBACK, *OPERATORS]), console
        assert {"127.0.0.1", *OPERATORS} <= {hit["dst"] for hit in hits}, hits


# -- processes that are killed halfway, without waiting for a boot

@pytest.mark.parametrize("after", [0.3, 1.5, 4])
def test_kill_of_the_owner_leaves_its_vm_to_the_reaper(lab, after):
    owner = lab.start("vm", "create", "lab")
    time.sleep(after)
    owner.kill()
    owner.wait()
    if not wait_for(lab.nothing_left, 120):  # killed between its first record and the reaper; the next command must clean up
        assert not any("reap" in words for words in lab.processes().values()), lab.left()
        assert lab.bottle("cleanup").returncode == 0
    assert wait_for(lab.nothing_left, 60), lab.left()


def test_kill_of_owner_and_reaper_leaves_it_to_the_next_command(lab):
    owner = lab.start("vm", "create", "lab")
    assert wait_for(lambda: any(os.path.basename(words[0]) == "qemu-system-x86_64" for words in lab.processes().values()), 180)
    reapers = [pid for pid, words in lab.processes().items() if "reap" in words]
    kill(reapers, signal.SIGSTOP)  # a reaper that runs destroys the VM as soon as the owner is dead
    assert wait_for(lambda: standing(reapers) == reapers, 20), reapers
    owner.kill()
    owner.wait()
    kill_for_sure(*reapers)
    (lost,) = lab.list()
    assert lost["state"] == "lost" and not lost["reaper"]
    dry = lab.bottle("cleanup", "--dry-run")
    assert "would destroy vm " + lost["name"] in dry.stdout
    done = lab.bottle("cleanup")
    assert done.returncode == 0, done.stderr
    assert "destroyed " + lost["name"] in done.stdout
    assert wait_for(lab.nothing_left, 60), lab.left()


def write_hooks(env, provider, scripts):
    hooks = os.path.join(env["XDG_CONFIG_HOME"], "bottle", "providers", provider)
    os.makedirs(hooks, exist_ok=True)
    for name, script in scripts.items():
        with open(os.path.join(hooks, name), "w") as f:
            f.write("#!/bin/sh\n%s\n" % script)
        os.chmod(f.name, 0o700)


def test_cleanup_fails_if_a_provider_does_not_answer(world):
    """A VM that cannot be seen may still cost money."""
    env = world.environment(config={"vms": {"mute": {"provider": "mute"}}}, home=world.path("mutehome"), token=False)
    write_hooks(env, "mute", dict.fromkeys(("create", "destroy", "status", "ssh-info", "list"), "echo 'no answer' >&2; exit 1"))
    for words in (("cleanup", "--dry-run"), ("cleanup",)):
        done = subprocess.run(world.command(*words), env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=world.dir, timeout=180)
        assert done.returncode == 125 and "provider mute could not be asked" in done.stderr, done


@pytest.mark.parametrize("words", [("vm", "create", "slow"), ("provider", "test", "slow", "--no-ssh")])
def test_an_interrupt_while_a_vm_is_made_destroys_it(world, words):
    home, machine = world.path("slowhome"), world.path("slow-machine")
    env = world.environment(config={"vms": {"slow": {"provider": "slow"}}}, home=home, token=False)
    status = "test -e %s && echo '{\"status\": \"running\"}' || echo '{\"status\": \"gone\"}'" % machine
    write_hooks(env, "slow", {"create": ": >%s; exec sleep 600" % machine, "destroy": "rm -f %s; echo '{\"status\": \"gone\"}'" % machine,
                              "status": status, "ssh-info": "exit 75", "list": "echo '{\"machines\": []}'"})
    maker = subprocess.Popen(world.command(*words), env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=world.dir)
    try:
        assert wait_for(lambda: os.path.exists(machine) or maker.poll() is not None, 60) and maker.poll() is None, maker.communicate()
        maker.send_signal(signal.SIGINT)
        out, err = maker.communicate(timeout=360)
    finally:
        maker.kill()
        maker.wait()
    assert maker.returncode == 130, (out, err)
    assert not os.path.exists(machine), (out, err)
    vms = os.path.join(env["XDG_STATE_HOME"], "bottle", "vms")
    assert wait_for(lambda: not os.path.isdir(vms) or not os.listdir(vms), 60), os.listdir(vms)


# -- the real VM

def test_a_vm_boots_and_its_engine_answers(machine):
    seconds = machine.told["seconds"]
    assert re.match(r"\d+\.\d+", machine.told["engine"]), machine.told
    assert 0 < seconds["ssh"] <= seconds["rotated"] <= seconds["engine"]
    done = machine.ssh("docker info --format '{{.ServerVersion}} {{.Driver}}'; id -un")
    assert done.returncode == 0, done.stderr
    assert "overlay2" in done.stdout and done.stdout.endswith("bottle\n")


def test_host_keys_are_checked_and_the_first_key_no_longer_counts(machine, tmp_path):
    here = open(machine.ssh_info["known_hosts"]).read()
    assert here.count("\n") == 1, "after the change the old key does not count"
    (directory,) = [os.path.join(machine.lab.machines, d) for d in os.listdir(machine.lab.machines) if not d.endswith(".lock")]
    seed = open(os.path.join(directory, "seed.iso"), "rb").read()
    first = re.search(rb'"ed25519_public":"(ssh-ed25519 [A-Za-z0-9+/=]+)', seed).group(1).decode()
    assert first not in here
    old = tmp_path / "old"
    old.write_text("%s %s\n" % (machine.ssh_info["host_key_alias"], first))
    done = machine.ssh("true", known_hosts=str(old))
    assert done.returncode == 255 and "verification failed" in done.stderr.lower(), done.stderr
    assert machine.ssh("true").returncode == 0


def test_no_other_user_can_sign_in_and_the_user_is_not_root(machine):
    done = machine.ssh("true", user="root")
    assert done.returncode == 255 and "Permission denied" in done.stderr
    assert machine.ssh("sudo -n id").returncode != 0
    # The first host key is not on the disk, where the next VM could find it.
    done = machine.ssh("docker version >/dev/null && ls /var/lib/cloud/instance/ 2>/dev/null; cat /etc/shadow")
    assert "user-data" not in done.stdout and "root:" not in done.stdout


def test_only_loopback_reaches_the_vm_and_the_vm_reaches_nothing(machine):
    world = machine.lab.world
    done = subprocess.run(["nsenter", "--net=/run/netns/" + world.host_ns, "--", "ss", "-ltnH"], capture_output=True, text=True)
    (line,) = [li for li in done.stdout.splitlines() if ":%d " % machine.ssh_info["port"] in li]
    assert "127.0.0.1:%d" % machine.ssh_info["port"] in line
    # network: none. The addresses belong to canaries of the namespace, which would notice a hole.
    done = machine.ssh("for a in 10.0.2.2 169.254.169.254 203.0.113.2; do timeout 3 bash -c \"echo >/dev/tcp/$a/80\" 2>/dev/null && echo reached $a; done; true")
    assert done.returncode == 0 and "reached" not in done.stdout, done.stdout


def test_a_vm_is_listed_with_its_reaper(machine):
    (vm,) = machine.lab.list()
    assert vm["state"] == "running" and vm["mine"] and vm["reaper"]
    assert vm["name"] == machine.told["name"] and vm["provider"] == "qemu" and vm["session"] == machine.told["session"]
    assert 0 < vm["age"] < 3600 and vm["ends_in"] <= 1800


def test_qemu_has_neither_the_operators_environment_nor_root(machine):
    for pid, words in machine.lab.processes().items():
        if os.path.basename(words[0]) == "qemu-system-x86_64":
            env = open("/proc/%d/environ" % pid, errors="replace").read()
            assert "HOME=" not in env and "DOCKER_HOST" not in env
            status = open("/proc/%d/status" % pid).read()
            assert "Seccomp:\t2" in status
            assert int(re.search(r"^Uid:\t(\d+)", status, re.M).group(1)) != 0, status
            return
    pytest.fail("no qemu")


def test_an_idle_vm_powers_off_with_its_containers(machine, tmp_path):
    """Tests the dead-man switch: no sign-in, no session, no heartbeat."""
    image = machine.ssh("mkdir -p i && cp /bin/busybox i/ && tar -C i -c . | docker import - box >/dev/null && docker run -d --name left box /busybox sleep 9999")
    assert image.returncode == 0, image.stderr
    machine.visitor.kill()
    machine.visitor.wait()
    assert wait_for(lambda: machine.lab.list()[0]["state"] == "stopped", 600, 5), machine.lab.list()
    assert machine.owner.poll() is None, "its owner lives, and had no part in it"
    # The disk has nothing left of the agent's containers, and nothing of the user who signed in.
    (directory,) = [os.path.join(machine.lab.machines, d) for d in os.listdir(machine.lab.machines) if not d.endswith(".lock")]
    world_module.run("qemu-img", "convert", "-O", "raw", os.path.join(directory, "disk.qcow2"), str(tmp_path / "disk.raw"))
    def entries(path):
        lines = world_module.run("debugfs", "-R", "ls -p " + path, str(tmp_path / "disk.raw")).stdout.splitlines()
        return {line.split("/")[5] for line in lines if line.startswith("/")} - {".", "..", ""}
    assert "overlay2" in entries("/var/lib/docker"), "the disk can be read"
    assert entries("/var/lib/docker/containers") == entries("/var/lib/docker/volumes") == entries("/home/bottle") == set()


def test_after_kill_9_the_reaper_destroys_a_stopped_vm(machine):
    machine.owner.kill()
    machine.owner.wait()
    assert wait_for(machine.lab.nothing_left, 180), machine.lab.left()
    assert machine.lab.list() == []
