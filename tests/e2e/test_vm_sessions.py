"""Sessions on VMs whose machines are made in a second (tests/world/quick): what happens around a VM, whatever becomes of those who made it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

import world as world_module

QUICK = os.path.join(world_module.HERE, "quick", "hooks.py")


class Cloud:
    """A provider `quick` of that operator's, and what there is of its VMs."""

    def __init__(self, operator):
        self.operator, self.world = operator, operator.world
        self.vms = self.world.path("vms")
        self.calls_before = len(self.calls())
        where = os.path.join(operator.home, ".config", "bottle", "providers", "quick")
        os.makedirs(where)
        for hook in ("create", "ssh-info", "status", "destroy", "list"):
            self.write(where, hook)
        self.where = where
        self.env = {"XDG_RUNTIME_DIR": os.path.join(operator.home, "run")}
        os.makedirs(self.env["XDG_RUNTIME_DIR"], mode=0o700)

    @staticmethod
    def write(where, hook, text=None):
        with open(os.path.join(where, hook), "w") as file:
            file.write(text or '#!/bin/sh\nexec %s -B %s "$0"\n' % (sys.executable, QUICK))
        os.chmod(os.path.join(where, hook), 0o755)

    def config(self, options=None, vm=None, **bottle):
        config = self.operator.config(**bottle)
        config["vms"] = {"lab": {"provider": "quick", "ttl": "20m", "idle": "20m", **(vm or {}),
                                 "options": {"world": self.world.dir, "net": self.world.net_ns, **(options or {})}}}
        return config

    def start(self, script, *args, env=None, options=None, vm=None, timeout=120, wait=True, **bottle):
        argv = ("start", "a", "--yes", "--headless", "--json", "-p", '[ "$BOTTLE_TEST" = inside ] || exit 99\n' + script, "--vm", "lab", *args)
        config, env = self.config(options, vm, **bottle), {**self.env, **(env or {})}
        if wait:
            return self.operator.bottle(*argv, config=config, env=env, timeout=timeout)
        return subprocess.Popen(self.world.command(*argv), cwd=self.operator.workspace, env={**self.world.environment(config, self.operator.home), **env},
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def bottle(self, *args, **options):
        return self.operator.bottle(*args, env=self.env, **options)

    def there(self):
        return sorted(os.listdir(self.vms)) if os.path.isdir(self.vms) else []

    def records(self):
        path = os.path.join(self.world.state(self.operator.home), "vms")
        return sorted(os.listdir(path)) if os.path.isdir(path) else []

    def calls(self):
        return world_module.read_jsonl(self.world.path("vm-calls.jsonl"))

    def nothing_left(self):
        return not self.there() and not self.records() and not self.operator.sessions()

    def left(self):
        return {"vms": self.there(), "records": self.records(), "sessions": self.operator.sessions()}


@pytest.fixture
def cloud(operator):
    cloud = Cloud(operator)
    yield cloud
    left = cloud.left()
    if any(left.values()):
        cloud.bottle("vm", "destroy", "--all", config=cloud.config())
        cloud.bottle("cleanup", config=cloud.config())
        shutil.rmtree(cloud.vms, ignore_errors=True)
    assert not any(left.values()), left


def result(done):
    return [json.loads(line) for line in done.stderr.splitlines() if '"receipt"' in line][-1]


def worktree(operator):
    refs = operator.git("for-each-ref", "--format=%(refname)", "refs/bottle").split()
    return [ref for ref in refs if ref.endswith("/worktree")]


def test_made_used_and_gone(cloud):
    done = cloud.start("echo made >made.txt; curl -sS https://allowed.example.org/; exit 6")
    assert done.returncode == 6, done.stderr
    assert "allowed.example.org" in done.stdout
    (ref,) = worktree(cloud.operator)
    assert cloud.operator.git("show", ref + ":made.txt") == "made\n"
    vm = result(done)["receipt"]["vm"]
    assert vm["confirmed"] and vm["provider"] == "quick", vm


WORK = "echo made >made.txt; sync; touch /run/bottle/worked; sleep 300"


def working(cloud, until):
    """The agent has done its work."""
    def made():
        for name in cloud.there():
            for where, _, files in os.walk(os.path.join(cloud.vms, name, "docker", "volumes")):
                if "made.txt" in files:
                    return True
        return False
    return until(made, 60)


def reapers(cloud):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = open("/proc/%s/cmdline" % pid).read().split("\0")
            if words[1:2] == ["reap"] and "HOME=" + cloud.operator.home in open("/proc/%s/environ" % pid).read():
                found.append(int(pid))
        except OSError:
            pass
    return found


def came_home(cloud):
    return [ref for ref in worktree(cloud.operator) if "made.txt" in cloud.operator.git("ls-tree", "--name-only", ref)]


@pytest.mark.parametrize("record", range(1, 6))
def test_kill_of_the_supervisor_at_every_record(cloud, until, record):
    done = cloud.start(WORK, env={"BOTTLE_TEST_KILL_AT_RECORD": str(record)})
    assert done.returncode == 125, done.stderr
    if not until(cloud.nothing_left, 5 if not cloud.records() else 60):
        done = cloud.bottle("start", "a", "--yes", "--headless", "-p", "true", config=cloud.config())  # the next command, of any kind
        assert done.returncode == 0, done.stderr
        assert until(cloud.nothing_left, 60), cloud.left()
    assert until(lambda: not reapers(cloud), 10)


def test_kill_of_everything_then_the_next_command_brings_the_work_home(cloud, until):
    process = cloud.start(WORK, wait=False)
    assert working(cloud, until), process.communicate()[1]
    (name,) = cloud.records()
    owner = json.load(open(os.path.join(cloud.world.state(cloud.operator.home), "vms", name, "vm.json")))["owner_process"]["pid"]
    for pid in [*reapers(cloud), owner, process.pid]:
        os.kill(pid, signal.SIGKILL)
    process.communicate()
    assert cloud.there() == [name] and not came_home(cloud)
    done = cloud.bottle("start", "a", "--yes", "--headless", "-p", "true", config=cloud.config())
    assert done.returncode == 0 and "VM " + name + " was left" in done.stderr, done.stderr
    assert until(cloud.nothing_left, 60), cloud.left()
    assert came_home(cloud)


def test_what_cannot_be_fetched_holds_the_vm(cloud, until):
    process = cloud.start(WORK, wait=False)
    assert working(cloud, until), process.communicate()[1]
    (name,) = cloud.records()
    record = os.path.join(cloud.world.state(cloud.operator.home), "vms", name, "vm.json")
    vm = json.load(open(os.path.join(cloud.vms, name, "vm.json")))
    inside = ["nsenter", "--net=/run/netns/" + vm["ns"], "--", "iptables", "-w"]
    world_module.run(*inside, "-I", "INPUT", "-p", "tcp", "--dport", "22", "-j", "REJECT", "--reject-with", "tcp-reset")
    os.kill(json.load(open(record))["owner_process"]["pid"], signal.SIGKILL)
    process.communicate()
    assert until(lambda: json.load(open(record))["keep"], 90), cloud.left()
    assert cloud.there() == [name] and reapers(cloud)
    world_module.run(*inside, "-F", "INPUT")
    done = cloud.bottle("cleanup", config=cloud.config())
    assert done.returncode == 0, done.stderr
    assert until(cloud.nothing_left, 30), cloud.left()
    assert came_home(cloud)
