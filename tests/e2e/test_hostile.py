"""A hostile agent looks for a way out. The `operator` fixture checks the canaries afterward; these tests also check
what the agent itself sees."""

import re
import subprocess

import pytest

from attacks import LIMITS, PRIVILEGES, PROBES

# Many simultaneous connects kill Debian's gVisor (2022-12, host network): its sandbox exits with status 2 after a panic
# in Go, and the agent dies too. A dead agent cannot probe further, so under gVisor it makes one connection at a time.


WAYS = {"runc": 'GENTLE= PORTS="22 53 80 443 2375 4243 9000" NEIGHBORS=$(seq 1 14)\n',
        "runsc": 'GENTLE=2 PORTS="53 80" NEIGHBORS="1 2 4 5 6"\n'}


def test_no_way_out(operator, runtime):
    session = operator.start(WAYS[runtime] + PROBES + "echo all probes ran\n", runtime=runtime, timeout=1200)
    assert session.status == 0, session.explain()
    assert "all probes ran" in session.out, session.explain()
    assert re.search(r"^own \d+\.\d+\.\d+\.\d+ ", session.out, re.M), "the probes knew no address: " + session.explain()
    assert [line for line in session.out.splitlines() if line.startswith("REACHED")] == []


def test_no_privileges(operator, runtime):
    session = operator.start(PRIVILEGES, runtime=runtime)
    assert session.status == 0, session.explain()
    assert "REACHED" not in session.out
    capabilities = [line.split()[1] for line in session.out.splitlines() if line.startswith("Cap")]
    assert len(capabilities) == (4 if runtime == "runc" else 3) and all(int(c, 16) == 0 for c in capabilities), session.out  # gVisor shows no ambient set
    assert "0" not in session.out.split("\n"), "uid 0"
    if runtime == "runc":  # gVisor does not show the flag in /proc
        assert "NoNewPrivs:\t1" in session.out


def test_the_guard_is_not_a_router(operator, until):
    """Facts 15 and 16: the guard must drop a packet that is addressed to another host. Adding a route needs a
    capability that the agent lacks, so this checks that the agent can request nothing of the kind, and the guard's
    sysctl."""
    process = operator.background("sleep 600")
    try:
        world = operator.world
        def guards():
            running = world.engine("GET", "/containers/json")
            return any(c["Labels"].get("bottle.role") == "agent" for c in running) and [
                c for c in running if c["Labels"].get("bottle.role") == "guard"]
        until(guards, 60)
        found = guards()
        assert found, "no guard runs"
        inspected = world.engine("GET", "/containers/%s/json" % found[0]["Id"])
        host = inspected["HostConfig"]
        assert host["ReadonlyRootfs"] is True
        assert host.get("CapDrop") and [c.upper() for c in host["CapDrop"]] == ["ALL"]
        assert inspected["Config"]["User"].split(":")[0] not in ("", "0", "root")
        value = subprocess.run(["nsenter", "-t", str(inspected["State"]["Pid"]), "-n", "cat", "/proc/sys/net/ipv4/ip_forward"],
                               capture_output=True, text=True)
        assert value.stdout.strip() == "0", value
    finally:
        operator.bottle("stop")
        process.communicate(timeout=360)


@pytest.mark.parametrize("field", ["memory", "pids"])
def test_limits_are_enforced(operator, field):
    session = operator.start(LIMITS[field], resources={"memory": "200m", "pids": 60, "cpus": 1})
    if field == "pids":
        numbers = [int(word) for word in session.out.split() if word.isdigit()]
        assert not numbers or max(numbers) <= 62, session.explain()
    else:
        assert str(600 << 20) not in session.out, session.explain()
