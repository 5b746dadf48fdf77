"""Measures a session on a VM of a real hypervisor (providers/qemu). This is a separate suite, because it takes a
quarter of an hour without KVM."""

import json
import os
import subprocess
import sys
import time

from figures import figure, median

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "world"))


@figure("vm_ready_s", 5, "s", "vm", "on a VM made for the session, from its engine's first answer to the agent's exec; QEMU, from a baked disk")
def vm_ready_s(bench):
    import world
    w = bench.world()
    bench.progress("an operator with a VM")
    w.load_image("shell")
    run_dir, home = w.path("vm-run"), w.path("vm-home")
    os.makedirs(run_dir, mode=0o700)
    config = {"bottles": {"b": {"runtime": "runc", "workspace": "clone", "egress": {"allow": ["allowed.example.org"]}}}, "agents": {"a": {"bottle": "b", "provider": "shell"}},
              "vms": {"lab": {"provider": "qemu", "cpus": 2, "memory": "2g"}}}
    env = {**w.qemu_environment(w.environment(config, home=home)), "XDG_RUNTIME_DIR": run_dir}
    # A failed session may have left its VM for the next command to destroy.
    bench.stack.callback(lambda: subprocess.run(w.command("vm", "destroy", "--all"), env=env, capture_output=True, cwd=w.dir))
    bench.progress("the first disk, and `bottle vm bake` (minutes where the processor is emulated)")
    subprocess.run([os.path.join(world.ROOT, "providers", "qemu", "prepare")], env=env, check=True, capture_output=True)
    begun = time.time()
    subprocess.run(w.command("vm", "bake", "lab"), env=env, check=True, capture_output=True, cwd=w.dir)
    bench.note("baked in %.0f s" % (time.time() - begun))
    ready, whole = [], []
    for _ in range(bench.rounds(4)):
        begun = time.time()
        done = subprocess.run(w.command("start", "a", "--headless", "--yes", "--json", "--vm", "lab", "-p", "date +%s.%N"), cwd=w.workspace(), env=env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError("a session on a VM failed: " + done.stderr[-1500:])
        events = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
        vm, engine = (next(event for event in events if event.get("event") == kind) for kind in ("vm", "engine"))
        ready.append(float(done.stdout) - engine["at"])  # both by the VM's clock
        whole.append(time.time() - begun)
        bench.note("sshd after %.0f s, the agent's exec %.1f s after the engine's first answer; the whole session %.0f s" % (vm["ssh"], ready[-1], whole[-1]))
    return median(ready)
