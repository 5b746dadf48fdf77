"""Tests the limits of the resources that a bottle uses: the disk, /dev/shm, the guard's CPU."""

import json
import subprocess
import time
import urllib.parse

import pytest

from look import came_home, containers, make_file
from operators import Session
from watched import Watched, wait_for_mark

# Data is on the engine's disk as soon as it is written; the last line appears only if the session was not stopped.


WRITE = "write() { dd if=/dev/zero of=$1 bs=1M count=$2 status=none && sync; }\n"
WAIT = "\nsleep 600; echo the agent was not stopped"
PATIENCE = 700  # seconds for a session; it is stopped within a few, but counting takes longer on a busy machine


def assert_stopped(operator, session, limit):
    said = "more than the %s of `resources.disk`, and was stopped" % limit
    assert session.status == 125 and "not stopped" not in session.out and said in session.err, session.explain()
    result = json.loads(operator.bottle("logs", "--json").stdout)
    assert result["limit"] == "resources.disk" and said in result["what"] and result["exit"] == 125, result
    assert said in operator.bottle("logs").stdout


def test_an_agent_that_fills_the_disk_is_stopped_and_its_work_comes_home(operator, runtime):
    """Only the layer and both volumes together exceed the limit. (gVisor has /tmp in memory.)"""
    session = operator.start(WRITE + "echo made >made.txt; write /var/tmp/a 40; write ~/b 40; write c 40" + WAIT, runtime=runtime,
                             resources={"disk": "100m"}, timeout=PATIENCE)
    assert_stopped(operator, session, "100 MiB")
    assert came_home(operator, "made.txt") == ["made\n"], session.explain()


@pytest.mark.parametrize("hide", [
    "mkdir ~/d; write ~/d/a 80; chmod 0 ~/d",
    "exec 7>/tmp/open; rm /tmp/open; dd if=/dev/zero bs=1M count=80 status=none >&7; sync",
    "mkdir /tmp/empty; cd /tmp/empty; seq 1 20000 | xargs touch",
], ids=["unreadable", "deleted", "inodes"])
def test_all_that_the_agent_writes_counts(operator, hide):
    assert_stopped(operator, operator.start(WRITE + hide + WAIT, resources={"disk": "64m"}, timeout=PATIENCE), "64 MiB")


@pytest.mark.parametrize("fill", [
    "write /var/tmp/a 80",
    "exec 7>/var/tmp/open; rm /var/tmp/open; dd if=/dev/zero bs=1M count=80 status=none >&7; sync",
    "exec 7>open; rm open; dd if=/dev/zero bs=1M count=80 status=none >&7; sync",
], ids=["file", "deleted", "deleted-in-workspace"])
def test_volumes_that_the_image_declares_count(world, operator, fill):
    image = "volumes:1"
    world.docker("build", "-t", image, "-", input="FROM %s\nVOLUME /var/tmp\n" % world.images["shell"])
    try:
        assert_stopped(operator, operator.start(WRITE + fill + WAIT, resources={"disk": "64m"}, timeout=PATIENCE, image=image), "64 MiB")
    finally:
        world.docker("rmi", "-f", image, check=False)
    assert world.docker("volume", "ls", "-q").stdout == ""


def test_volumes_on_a_disk_of_their_own_count(world, operator):
    """The space of the engine's directory does not change when the agent writes to them."""
    volumes = world.path("data", "volumes")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", volumes], check=True)
    try:
        assert_stopped(operator, operator.start(WRITE + "write a 80" + WAIT, resources={"disk": "64m"}, timeout=PATIENCE), "64 MiB")
    finally:
        subprocess.run(["umount", "-l", volumes], check=True)


def test_the_same_agent_finishes_with_a_larger_limit(operator):
    """Shows that the other agents are stopped because of the limit."""
    session = operator.start(WRITE + "write /var/tmp/a 40; write ~/b 40; write c 40; echo went on", resources={"disk": "1g"})
    assert session.status == 0 and session.out == "went on\n", session.explain()


def test_deleted_files_do_not_count(operator):
    script = "for i in 1 2 3; do write /tmp/a 40; rm /tmp/a; sync; done; truncate -s 1T /tmp/sparse; echo worked"
    session = operator.start(WRITE + script, resources={"disk": "100m"})
    assert session.status == 0 and session.out == "worked\n", session.explain()


def test_an_agent_that_runs_out_of_memory_is_reported(operator, until):
    """An engine that learns of this only after the agent has ended does not report it, so the agent waits."""
    script = "echo made >made.txt; python3 -c 'x = bytearray(200 << 20)' || echo \"it ended with $?\"; " + wait_for_mark("go") + "exit 3"
    since = time.time()
    process = operator.background(script, resources={"memory": "100m"})

    def reported():
        wanted = urllib.parse.quote(json.dumps({"event": ["oom"]}))
        return operator.world.engine("GET", "/events?since=%f&until=%f&filters=%s" % (since, time.time(), wanted), raw=True)
    assert until(reported, 60), process.poll()
    make_file(operator.world, containers(operator.world, "agent")[0]["Id"], "/tmp/go")
    out, err = process.communicate(timeout=360)
    session = Session(subprocess.CompletedProcess(process.args, process.returncode, out, err), operator, since)
    said = "the agent's container reached 100 MiB (`resources.memory`), or the machine had no memory left, and the kernel killed a process in it"
    assert session.status == 3 and "it ended with 137" in session.out and said in session.err, session.explain()
    result = json.loads(operator.bottle("logs", "--json").stdout)
    assert result["limit"] == "resources.memory" and result["what"] == said and result["exit"] == 3, result
    assert came_home(operator, "made.txt") == ["made\n"], session.explain()


def test_containers_have_their_limits(operator, until):
    session = Watched(operator, until, "df -B1 --output=size /dev/shm | tail -1; sleep 600", resources={"shm": "300m"})
    try:
        assert session.sees("%d\n" % (300 << 20), 60), session.text
        [guard] = [operator.world.engine("GET", "/containers/%s/json" % c["Id"])["HostConfig"] for c in containers(operator.world, "guard")]
        assert guard["NanoCpus"] == 10**9 and guard["Memory"] == 768 << 20 and guard["PidsLimit"] == 64
        # An engine whose kernel does not count swap changes the limit to -1.
        assert guard["MemorySwap"] in (guard["Memory"], -1) and guard["Init"] is False
    finally:
        session.stop()
