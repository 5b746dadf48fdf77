"""VMs that take a second to create (tests/world/quick), and what tests ask about them."""

import json
import os
import subprocess
import sys
import time

import world as world_module
from look import descendants, refs_of_work
from values import files_with, forms, holders_of, in_processes

HOSTS = {**{name: ip + ":443" for name, ip in world_module.SITES.items()}, "api.anthropic.com": world_module.API_IP + ":443"}
QUICK = os.path.join(world_module.HERE, "quick", "hooks.py")
WORK = "echo made >made.txt; sync; touch /run/bottle/worked; sleep 300"


class Cloud:
    """The provider `quick` of an operator, and its VMs."""

    def __init__(self, operator, image=None):
        self.operator, self.world, self.image = operator, operator.world, image
        self.vms = self.world.path("vms")
        self.since = time.time()
        where = os.path.join(operator.home, ".config", "bottle", "providers", "quick")
        os.makedirs(where)
        for hook in ("create", "ssh-info", "status", "destroy", "list", "put-secret", "bake"):
            self.write(where, hook)
        self.where = where
        self.env = {"XDG_RUNTIME_DIR": os.path.join(operator.home, "run")}
        os.makedirs(self.env["XDG_RUNTIME_DIR"], mode=0o700)

    @staticmethod
    def write(where, hook, text=None):
        made = os.path.join(os.path.dirname(os.path.dirname(where)), hook + ".part")
        with open(made, "w") as file:
            file.write(text or '#!/bin/sh\nexec %s -ISB %s "$0"\n' % (sys.executable, QUICK))
        os.chmod(made, 0o755)
        os.rename(made, os.path.join(where, hook))  # bottle may be running the old one

    def config(self, options=None, vm=None, **bottle):
        # The near side packs the image before each session, because the VM may lack it. A small one takes less time.
        config = self.operator.config(**{"image": self.world.load_small_image(), **bottle})
        options = {**({"image": self.image} if self.image else {}), **(options or {})}
        config["vms"] = {"lab": {"provider": "quick", "ttl": "20m", "idle": "20m", **(vm or {}),
                                 "options": {"world": self.world.dir, "net": self.world.net_ns, **options}}}
        return config

    def start(self, script, *args, env=None, options=None, vm=None, timeout=600, wait=True, token=True, **bottle):
        argv = ("start", "a", "--yes", "--headless", "--json", "-p", '[ "$BOTTLE_TEST" = inside ] || exit 99\n' + script, "--vm", "lab", *args)
        config, env = self.config(options, vm, **bottle), {**self.env, **(env or {})}
        if wait:
            return self.operator.bottle(*argv, config=config, env=env, timeout=timeout, token=token)
        return subprocess.Popen(self.world.command(*argv), cwd=self.operator.workspace, env={**self.world.environment(config, self.operator.home, token), **env},
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def bottle(self, *args, **options):
        return self.operator.bottle(*args, env=self.env, **options)

    def there(self):
        return sorted(os.listdir(self.vms)) if os.path.isdir(self.vms) else []

    def records(self):
        path = os.path.join(self.world.state(self.operator.home), "vms")
        return sorted(os.listdir(path)) if os.path.isdir(path) else []

    def calls(self):
        return [call["hook"] for call in world_module.read_jsonl(self.world.path("vm-calls.jsonl")) if call["time"] >= self.since]

    def nothing_left(self):
        return not self.there() and not self.records() and not self.operator.sessions()

    def left(self):
        return {"vms": self.there(), "records": self.records(), "sessions": self.operator.sessions()}


class VmSide:
    """The VM of a session: all places that hold a value, except memory, on it and in the operator's state."""

    def __init__(self, cloud):
        self.cloud, (name,) = cloud, cloud.there()
        self.directory = os.path.join(cloud.vms, name)
        self.vm = json.load(open(os.path.join(self.directory, "vm.json")))

    def processes(self):
        return descendants([self.vm["pid"]])

    def places(self, value):
        needles = forms(value)
        return in_processes(needles, self.processes()) + files_with(needles, self.directory, self.cloud.operator.home, self.cloud.operator.workspace)

    def holders(self, value):
        return holders_of(self.processes(), value)


def result(done):
    return [json.loads(line) for line in done.stderr.splitlines() if '"receipt"' in line][-1]


def record_of(cloud):
    (name,) = cloud.records()
    return json.load(open(os.path.join(cloud.world.state(cloud.operator.home), "vms", name, "vm.json")))


def answer_ssh(cloud, name, answers):
    ns = json.load(open(os.path.join(cloud.vms, name, "vm.json")))["ns"]
    world_module.run("nsenter", "--net=/run/netns/" + ns, "--", "iptables", "-w", "-D" if answers else "-I", "INPUT", "-p", "tcp", "--dport", "22", "-j", "REJECT",
                     "--reject-with", "tcp-reset")


def has_worked(cloud):
    return any("made.txt" in files for name in cloud.there() for _, _, files in os.walk(os.path.join(cloud.vms, name, "docker", "volumes")))


def working(cloud, until):
    """Waits until the agent has done its work."""
    return until(lambda: has_worked(cloud), 120)


def came_home(cloud):
    return [ref for ref in refs_of_work(cloud.operator) if "made.txt" in cloud.operator.git("ls-tree", "--name-only", ref)]
