"""Runs many bottles on one engine at once. Each has its own subnet, all share one egress bridge, none disturbs another,
and all are gone afterward."""

import concurrent.futures
import ipaddress
import os
import time

from look import came_home, containers, everything, processes_of, state_files, supervisors_of

COUNT = int(os.environ.get("BOTTLE_TEST_DENSITY", "8"))  # a manual run used fifty; docs/bench.md has the figures


def memory(pid):
    """Returns the resident memory that is not shared with another process, in KiB."""
    with open("/proc/%d/smaps_rollup" % pid) as file:
        return sum(int(line.split()[1]) for line in file if line.startswith(("Private_Clean:", "Private_Dirty:")))


def test_many_sessions_start_at_once(world, operator, until):
    assert operator.bottle("engine", "prepare").returncode == 0
    assert operator.start("true").status == 0
    before = everything(world)
    script = "cd /workspace && echo mine > mine && curl -sS -m 300 https://allowed.example.org/up >/dev/null; sleep 1000"
    begun = time.time()
    processes = []
    try:
        processes += [operator.background(script, resources={"memory": "256m", "cpus": 0.5, "pids": 64}) for _ in range(COUNT)]
        assert until(lambda: len(containers(world, "agent")) == COUNT and len(containers(world, "guard")) == COUNT, 60 + 12 * COUNT, 0.5), \
            (len(containers(world, "agent")), [p.communicate(timeout=5) for p in processes if p.poll() is not None])
        up = time.time() - begun

        # Each has its own subnet, and all guards share one bridge.
        networks = [world.engine("GET", "/networks/" + c["NetworkSettings"]["Networks"][name]["NetworkID"]) for c in containers(world, "agent")
                    for name in c["NetworkSettings"]["Networks"]]
        subnets = [ipaddress.ip_network(n["IPAM"]["Config"][0]["Subnet"]) for n in networks]
        assert len(subnets) == COUNT and not any(a.overlaps(b) for i, a in enumerate(subnets) for b in subnets[:i])
        bridges = {name for c in containers(world, "guard") for name in c["NetworkSettings"]["Networks"]} - {n["Name"] for n in networks}
        assert bridges == {"bottle-egress"}
        addresses = [c["NetworkSettings"]["Networks"]["bottle-egress"]["IPAddress"] for c in containers(world, "guard")]
        assert len(set(addresses)) == COUNT

        # Each of them works: it sends a request through its own guard.
        assert until(lambda: len(world.seen("allowed.example.org", begun)) >= COUNT, 90, 0.5), len(world.seen("allowed.example.org", begun))
        supervisors = [memory(pid) for pid in supervisors_of(operator)]
        guards = [memory(world.engine("GET", "/containers/%s/json" % c["Id"])["State"]["Pid"]) for c in containers(world, "guard")]
        assert len(supervisors) == len(guards) == COUNT
        ending = time.time()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            stopped = list(pool.map(lambda session: operator.bottle("stop", session), operator.sessions()))
        assert [done for done in stopped if done.returncode] == []
        for process in processes:
            out, err = process.communicate(timeout=240 + 8 * COUNT)
            assert "The engine confirmed that the agent's container" in err, err
        print("%d bottles: all up after %.1f s, all gone %.1f s after the first stop; private memory of a supervisor %d KiB, of a guard %d KiB"
              % (COUNT, up, time.time() - ending, sum(supervisors) // COUNT, sum(guards) // COUNT))
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
    assert len(came_home(operator, "mine")) == COUNT
    assert everything(world) == before and operator.sessions() == [] and state_files(operator) == []
    assert until(lambda: not processes_of(operator), 10), processes_of(operator)  # a supervisor reports its result before it exits
