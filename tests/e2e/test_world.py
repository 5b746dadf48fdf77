"""Tests the tests: if the canaries heard nothing, all other tests would prove nothing."""

import subprocess
import time

import pytest


@pytest.mark.touches_canaries
def test_a_plain_container_reaches_the_canaries(world, operator, until):
    since = time.time()
    image = world.load_image("shell")
    script = ("for to in 169.254.169.254 192.168.1.1 203.0.113.2; do timeout 60 bash -c \"exec 3<>/dev/tcp/$to/80\" && echo REACHED $to; done;"
              "echo hi > /dev/udp/1.1.1.1/53")
    done = world.docker("run", "--rm", "--entrypoint", "", image, "bash", "-c", script, check=False)
    assert done.stdout.split("\n")[:3] == ["REACHED 169.254.169.254", "REACHED 192.168.1.1", "REACHED 203.0.113.2"], done

    def kinds():
        return {(hit["kind"], hit["dst"]) for hit in world.hits(since)}
    expected = {("tcp", "169.254.169.254"), ("tcp", "192.168.1.1"), ("udp", "1.1.1.1"), ("tcp", "203.0.113.2")}  # the last is the host's own
    assert until(lambda: expected <= kinds(), 20), kinds()  # a canary logs a connection some time after it was made


def test_the_world_has_no_way_out(world):
    done = subprocess.run(["ip", "-n", world.net_ns, "route", "get", "9.9.9.9"], capture_output=True, text=True)
    assert done.returncode != 0, done.stdout
