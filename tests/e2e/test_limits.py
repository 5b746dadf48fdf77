"""Tests the limits of the resources that a bottle uses: the disk, /dev/shm, the guard's CPU."""

import json

import pytest

from look import came_home, containers
from test_allow import Watched

# Data is on the engine's disk as soon as it is written; the last line appears only if the session was not stopped.
WRITE = "write() { dd if=/dev/zero of=$1 bs=1M count=$2 status=none && sync; }\n"
WAIT = "\nsleep 100; echo the agent was not stopped"


def assert_stopped(operator, session, limit):
    said = "more than the %s of `resources.disk`, and was stopped" % limit
    assert session.status == 125 and "not stopped" not in session.out and said in session.err, session.explain()
    result = json.loads(operator.bottle("logs", "--json").stdout)
    assert result["limit"] == "resources.disk" and said in result["what"] and result["exit"] == 125, result
    assert said in operator.bottle("logs").stdout


def test_an_agent_that_fills_the_disk_is_stopped_and_its_work_comes_home(operator, runtime):
    """Only the layer and both volumes together exceed the limit. (gVisor has /tmp in memory.)"""
    session = operator.start(WRITE + "echo made >made.txt; write /var/tmp/a 40; write ~/b 40; write c 40" + WAIT, runtime=runtime,
                             resources={"disk": "100m"})
    assert_stopped(operator, session, "100 MiB")
    assert came_home(operator, "made.txt") == ["made\n"], session.explain()


@pytest.mark.parametrize("hide", [
    "mkdir ~/d; write ~/d/a 80; chmod 0 ~/d",
    "exec 7>/tmp/open; rm /tmp/open; dd if=/dev/zero bs=1M count=80 status=none >&7; sync",
    "mkdir /tmp/empty; cd /tmp/empty; seq 1 20000 | xargs touch",
], ids=["unreadable", "deleted", "inodes"])
def test_all_that_the_agent_writes_counts(operator, hide):
    assert_stopped(operator, operator.start(WRITE + hide + WAIT, resources={"disk": "64m"}), "64 MiB")


def test_the_same_agent_finishes_with_a_larger_limit(operator):
    """Shows that the other agents are stopped because of the limit."""
    session = operator.start(WRITE + "write /var/tmp/a 40; write ~/b 40; write c 40; echo went on", resources={"disk": "1g"})
    assert session.status == 0 and session.out == "went on\n", session.explain()


def test_deleted_files_do_not_count(operator):
    script = "for i in 1 2 3; do write /tmp/a 40; rm /tmp/a; sync; done; truncate -s 1T /tmp/sparse; echo worked"
    session = operator.start(WRITE + script, resources={"disk": "100m"})
    assert session.status == 0 and session.out == "worked\n", session.explain()


def test_an_agent_that_runs_out_of_memory_is_reported(operator):
    script = "echo made >made.txt; python3 -c 'x = bytearray(200 << 20)' || echo \"it ended with $?\"; exit 3"
    session = operator.start(script, resources={"memory": "100m"})
    said = "the agent's container reached 100 MiB (`resources.memory`), or the machine had no memory left, and the kernel killed a process in it"
    assert session.status == 3 and "it ended with 137" in session.out and said in session.err, session.explain()
    result = json.loads(operator.bottle("logs", "--json").stdout)
    assert result["limit"] == "resources.memory" and result["what"] == said and result["exit"] == 3, result
    assert came_home(operator, "made.txt") == ["made\n"], session.explain()


def test_containers_have_their_limits(operator, until):
    session = Watched(operator, until, "df -B1 --output=size /dev/shm | tail -1; sleep 60", resources={"shm": "300m"})
    try:
        assert session.sees("%d\n" % (300 << 20), 60), session.text
        [guard] = [operator.world.engine("GET", "/containers/%s/json" % c["Id"])["HostConfig"] for c in containers(operator.world, "guard")]
        assert guard["NanoCpus"] == 10**9 and guard["Memory"] == 768 << 20 and guard["PidsLimit"] == 64
    finally:
        session.stop()
