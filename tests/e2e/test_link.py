"""A machine that is far away: 80 ms and a lossy cable between it and the operator (tests/world/link.py)."""

import re
import subprocess

import pytest


@pytest.fixture(scope="module")
def far(world):
    return world.machine()


def ping(world, far, count=10, interval=0.1):
    done = subprocess.run(["nsenter", "--net=/run/netns/" + world.host_ns, "--", "ping", "-n", "-q", "-c", str(count), "-i", str(interval), "-W", "5", far.ip],
                          capture_output=True, text=True)
    lost = int(re.search(r"(\d+)(?:\.\d+)?% packet loss", done.stdout).group(1))
    times = re.search(r"= ([\d.]+)/([\d.]+)/", done.stdout)
    return lost, float(times.group(1)) if times else None


def test_the_cable_is_as_long_as_it_says(world, far):
    lost, before = ping(world, far, 3)
    assert lost == 0 and before < 20
    with far.link(delay_ms=80) as link:
        lost, fastest = ping(world, far)
        assert lost == 0 and 80 <= fastest < 100  # the fastest: whatever else this machine does, a packet is never early
        link.set(delay_ms=0, loss=0.5)
        lost, _ = ping(world, far, 100, 0.01)
        assert 50 < lost < 98  # of both ways: three of four
        link.cut()
        assert ping(world, far, 2)[0] == 100
        link.set(loss=0)
        assert ping(world, far, 3)[0] == 0
    lost, after = ping(world, far, 3)
    assert lost == 0 and after < 20
