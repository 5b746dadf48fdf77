"""The operator of the VMs that QEMU runs."""

import contextlib
import json
import os
import subprocess

from look import reapers_of


class Lab:
    """An operator with a manifest of VMs, and functions to look at them."""

    def __init__(self, world):
        self.world, self.home = world, world.path("vmhome")
        manifest = {"vms": {"lab": {"provider": "qemu", "ttl": "30m", "idle": "90s", "cpus": 2, "memory": "2g", "options": {"accel": "tcg"}}}}
        self.env = world.qemu_environment(world.environment(config=manifest, home=self.home, token=False))
        self.vms = os.path.join(self.env["XDG_STATE_HOME"], "bottle", "vms")
        self.machines = os.path.join(self.env["XDG_STATE_HOME"], "bottle", "qemu", "vms")

    def start(self, *args):
        return subprocess.Popen(self.world.command(*args), env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=open(self.world.path("vm.stderr"), "a"), text=True, cwd=self.world.dir)

    def bottle(self, *args, timeout=300):
        done = subprocess.run(self.world.command(*args), env=self.env, capture_output=True, text=True, timeout=timeout, cwd=self.world.dir)
        return done

    def list(self):
        done = self.bottle("vm", "list", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def processes(self):
        """Returns every process of a VM: QEMU, its timeout, the reapers."""
        found, reapers = {}, reapers_of(self)
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            with contextlib.suppress(OSError), open("/proc/%d/cmdline" % pid, errors="replace") as file:
                words = file.read().split("\0")
                if pid in reapers or any(w.startswith(self.machines) for w in words):
                    found[pid] = words[:3]
        return found

    def nothing_left(self):
        directories = [d for d in (self.vms, self.machines) if os.path.isdir(d) and os.listdir(d)]
        return not self.processes() and not directories

    def left(self):
        return {"processes": self.processes(), "files": [os.listdir(d) for d in (self.vms, self.machines) if os.path.isdir(d)]}
