"""The record of allowed requests is complete even if the operator's disk is slow or full: traffic waits for the record,
or is refused."""

import json
import os
import signal
import time

import pytest

import world as world_module
from look import supervisors_of
from watched import Watched

SITE = "allowed.example.org"

# Sends requests over one connection, each after the previous answer, with paths that fill the record quickly. Prints a
# line when the kind of answer changes.
MANY = """
python3 - <<'END'
import http.client, os, sys, time, urllib.parse
proxy = urllib.parse.urlsplit(os.environ["http_proxy"])
connection, last = http.client.HTTPConnection(proxy.hostname, proxy.port), None
for number in range(%d):
    connection.request("POST", "http://%s/n/%%d/" %% number + "x" * 400, "", {"Host": "%s"})
    answer = connection.getresponse()
    answer.read()
    now = "%%d %%s" %% (answer.status, answer.getheader("X-Bottle-Error"))
    if now != last:
        print("now", now, flush=True)
    last = now
    if os.path.exists("/workspace/stop"):
        break
    %s
print("done", flush=True)
END
"""


def many(count, between="pass"):
    return MANY % (count, SITE, SITE, between)


def seen(world, since):
    return [request["path"] for request in world.seen(SITE, since)]


def allowed(operator):
    done = operator.bottle("logs", "--egress")
    assert done.returncode == 0, done.stderr
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    return [entry["path"] for entry in entries if entry["action"] == "allow" and entry.get("kind") == "http"]


def stands_still(world, since, until):
    """Returns whether the site receives no requests for a second."""
    counts = [-1]

    def same():
        counts.append(len(seen(world, since)))
        return len(counts) > 10 and counts[-10] == counts[-1]
    return until(same, 60)


def all_recorded(world, operator, since):
    """Checks that the record has every request that the site received. The last one may not have been sent yet."""
    here, there = allowed(operator), seen(world, since)
    return set(there) <= set(here) and len(here) <= len(there) + 1


def test_traffic_waits_for_a_slow_audit(world, operator, until):
    """The supervisor, which writes the record, is stopped, as if its disk accepted nothing."""
    since, total = time.time(), 100000
    session = Watched(operator, until, many(total))
    assert session.sees("now 200 None\n"), session.text
    [supervisor] = supervisors_of(operator)
    os.kill(supervisor, signal.SIGSTOP)
    try:
        assert stands_still(world, since, until)
        before = len(seen(world, since))
        assert before < total, "the agent did not ask enough"
    finally:
        os.kill(supervisor, signal.SIGCONT)
    assert until(lambda: len(seen(world, since)) > before, 60), "it did not go on"
    session.stop()
    assert all_recorded(world, operator, since)


@pytest.fixture
def small_disk(world, operator):
    """Puts the results on a separate small disk."""
    where = os.path.join(world.state(operator.home), "results")
    os.makedirs(where, mode=0o700)
    world_module.run("mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs", where)
    yield where
    world_module.run("umount", "-l", where)


def test_no_request_passes_while_the_disk_is_full(world, operator, until, small_disk):
    since = time.time()
    session = Watched(operator, until, many(100000, "answer.status == 200 or time.sleep(0.1)"))
    assert session.sees("now 503 unrecorded\n", 60), session.text
    refused = len(seen(world, since))
    assert session.text.startswith("now 200 None\n") and refused, session.text
    world_module.run("mount", "-o", "remount,size=64m", small_disk)
    assert session.sees("now 503 unrecorded\nnow 200 None\n", 60), session.text
    session.stop()
    assert len(seen(world, since)) > refused
    assert all_recorded(world, operator, since)
