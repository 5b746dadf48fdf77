"""Tests `bottle start --vm`: a real hypervisor makes a VM for the session, the same bottle runs in it, the work comes
home, and the VM is destroyed."""

import json
import os


def test_a_vm_is_created_used_and_confirmed_gone(world, operator, lab):
    # An emulated processor reads everything that is sent to this VM.
    config = operator.config(image=world.load_small_image(), egress={"hosts": {"allowed.example.org": ["20.30.40.10:443"], "api.anthropic.com": ["20.30.40.20:443"]}})
    config["vms"] = {"lab": {"provider": "qemu", "ttl": "30m", "idle": "10m", "cpus": 2, "memory": "2g", "options": {"accel": "tcg"}}}
    run_dir = os.path.join(operator.home, "run")
    os.makedirs(run_dir, mode=0o700)
    cache = world.qemu_environment(world.environment(home=operator.home))["XDG_CACHE_HOME"]
    env = {"XDG_CACHE_HOME": cache, "XDG_RUNTIME_DIR": run_dir}
    script = ('[ "$BOTTLE_TEST" = inside ] || exit 99\nuname -r; nproc; cat /proc/self/personality /proc/1/personality; echo made >made.txt; curl -sS https://allowed.example.org/; '
              "curl -sS -o /dev/null https://forbidden.example.net/; exit 6")
    done = operator.bottle("start", "a", "--yes", "--headless", "--json", "-p", script, "--vm", "lab", config=config, env=env, timeout=900)
    assert done.returncode == 6, done.stderr[-4000:]
    assert "allowed.example.org" in done.stdout
    assert done.stdout.split("\n")[0] != os.uname().release, "the kernel is another one"
    assert done.stdout.split("\n")[1] == "2", "the initrd brings the processors that wait for it"
    assert done.stdout.split("\n")[2:4] == ["00000000"] * 2, "emulated, and without address space randomization where the agent is"
    refs = operator.git("for-each-ref", "--format=%(refname)", "refs/bottle").split()
    worktree = [ref for ref in refs if ref.endswith("/worktree")][0]
    assert operator.git("show", worktree + ":made.txt") == "made\n"
    result = [json.loads(line) for line in done.stderr.splitlines() if line.startswith('{"back"') or '"receipt"' in line][-1]
    vm = result["receipt"]["vm"]
    assert result["receipt"]["confirmed"] and vm["confirmed"], result["receipt"]
    assert vm["provider"] == "qemu" and vm["made"] <= vm["at"] and vm["confirmed_by"], vm
    state = world.state(operator.home)
    assert not os.path.isdir(os.path.join(state, "vms")) or os.listdir(os.path.join(state, "vms")) == []
    assert operator.sessions() == []
    lists = operator.bottle("vm", "list", "--json", config=config, env=env)
    assert json.loads(lists.stdout) == [], lists.stdout
