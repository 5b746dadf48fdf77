"""Tests how sessions on VMs that take a second to create (tests/world/quick) end: when the VM expires, and when
processes around the VM die."""

import contextlib
import json
import os
import signal
import time

import pytest

from clouds import WORK, VmSide, answer_ssh, came_home, has_worked, record_of, result, working
from far import Lines, supervisor_of
from look import kill_for_sure, processes, reapers_of, refs_of_work


# -- the end of its time


def margin(ttl):
    """Returns how many seconds before the end of a VM's time its near side fetches the work (Deadlines::vm_ends_at)."""
    return max(5, ttl // 10)


def with_little_time(cloud, until, begin):
    """Returns what `begin` returns for a session on a VM whose time ends soon. On a busy machine, the end may come
    first; `begin` then returns nothing and gets more time."""
    for ttl in (25, 50, 100):
        begun = begin(ttl)
        if begun:
            return ttl, begun
        assert until(cloud.nothing_left, 180), cloud.left()
    pytest.fail("the end of its time came first")


def test_a_vm_is_destroyed_when_its_time_is_up(cloud, until):
    """The VM's TTL ends it: it removes its containers and powers off, although its owner is alive and nothing on the
    near side acts."""
    def begin(ttl):
        process = cloud.start(WORK, wait=False, vm={"ttl": "%ds" % ttl})
        if until(lambda: has_worked(cloud) or process.poll() is not None, ttl) and process.poll() is None:
            with contextlib.suppress(ValueError, FileNotFoundError, ProcessLookupError):  # the end comes first
                record = record_of(cloud)
                owner = record["owner_process"]["pid"]
                kill_for_sure(*reapers_of(cloud.operator))
                os.kill(owner, signal.SIGSTOP)
                if record["until"] - time.time() > margin(ttl) + 1:
                    return process, owner
                os.kill(owner, signal.SIGCONT)
        process.communicate(timeout=300)
        cloud.bottle("cleanup", config=cloud.config())  # in case there is no reaper
        return None

    ttl, (process, owner) = with_little_time(cloud, until, begin)
    side = VmSide(cloud)
    assert until(lambda: not os.path.exists("/proc/%d" % side.vm["pid"]), ttl + 180), "it powers off"
    docker = os.path.join(side.directory, "docker")
    assert os.listdir(os.path.join(docker, "volumes")) == [] if os.path.isdir(os.path.join(docker, "volumes")) else True
    assert not os.path.isdir(os.path.join(docker, "containers")) or os.listdir(os.path.join(docker, "containers")) == []
    os.kill(owner, signal.SIGKILL)
    process.kill()
    process.communicate()
    done = cloud.bottle("cleanup", config=cloud.config())
    assert until(cloud.nothing_left, 120), (cloud.left(), done.stderr)


def test_the_work_comes_home_before_the_time_of_a_vm_is_up(cloud, until):
    def begin(ttl):
        # The agent may be stopped at any moment, so it replaces its file whole.
        agent = "while :; do date +%s >new; mv new last; cat last; sleep 1; done"
        done = cloud.start(agent, vm={"ttl": "%ds" % ttl}, timeout=ttl + 300)
        return done if done.stdout else None

    ttl, done = with_little_time(cloud, until, begin)
    assert done.returncode != 0 and "is nearly up" in done.stderr, done.stderr
    receipt = result(done)["receipt"]
    assert receipt["confirmed"] and receipt["vm"]["confirmed"], receipt
    (ref,) = refs_of_work(cloud.operator)
    last = int(cloud.operator.git("show", ref + ":last"))
    assert last >= int(done.stdout.split()[-1]), "nothing was lost"
    assert last > receipt["vm"]["made"] + ttl - margin(ttl) - 10, "it worked until then"
    assert until(cloud.nothing_left, 120), cloud.left()


def ssh_masters(cloud):
    """Returns the processes that hold the operator's connections."""
    return [pid for pid, argv in processes(cloud.operator) if argv[0].startswith(b"ssh")]


def test_a_vm_is_not_idle_while_work_waits_on_it(cloud, until):
    """The near side sleeps, as a laptop does, while the agent ends and for longer than the VM may be idle."""
    process = cloud.start("echo made >made.txt; sync; until [ -e end ]; do sleep 0.1; done", wait=False, vm={"idle": "15s"})
    assert working(cloud, until), process.communicate()[1]
    owner, inside = record_of(cloud)["owner_process"]["pid"], "/proc/%d/root/" % VmSide(cloud).vm["pid"]
    kill_for_sure(*reapers_of(cloud.operator))
    os.kill(owner, signal.SIGSTOP)
    try:
        kill_for_sure(*ssh_masters(cloud))
        for place, _, files in os.walk(os.path.join(cloud.vms, *cloud.there(), "docker", "volumes")):
            if "made.txt" in files:
                open(os.path.join(place, "end"), "w").close()
        results = inside + "home/bottle/.local/state/bottle/results"
        assert until(lambda: any("workspace.tar" in files for _, _, files in os.walk(results)), 120), "the agent has ended"
        spent = lambda: int(open(inside + "var/lib/bottle-vm/spent").read() or 0)  # noqa: E731
        enough = spent() + 15 + 10
        assert until(lambda: not os.path.exists(inside) or spent() >= enough, 300) and os.path.exists(inside), "it has ended"
    finally:
        os.kill(owner, signal.SIGCONT)
    errors = process.communicate(timeout=600)[1]
    assert came_home(cloud), errors
    assert until(cloud.nothing_left, 120), cloud.left()


def test_a_kept_vm_stays_until_vm_destroy(cloud, until):
    done = cloud.start("echo made >made.txt", "--keep")
    assert done.returncode == 0 and came_home(cloud), done.stderr
    assert result(done)["receipt"]["vm"]["kept"]
    (name,) = cloud.there()
    assert cloud.bottle("cleanup", config=cloud.config()).returncode == 0
    assert cloud.there() == [name] and cloud.records() == [name]
    assert cloud.bottle("vm", "destroy", name, config=cloud.config()).returncode == 0
    assert until(cloud.nothing_left, 120), cloud.left()


def test_the_work_on_a_kept_vm_comes_home_after_everything_was_killed(cloud, until):
    process = cloud.start(WORK, "--keep", wait=False)
    assert working(cloud, until), process.communicate()[1]
    (name,) = cloud.records()
    kill_for_sure(*reapers_of(cloud.operator), record_of(cloud)["owner_process"]["pid"], process.pid)
    process.communicate()
    done = cloud.bottle("start", "a", "--yes", "--headless", "-p", "true", config=cloud.config())
    assert done.returncode == 0 and "VM " + name + " has lost its owner" in done.stderr, done.stderr
    assert until(lambda: came_home(cloud) and not cloud.operator.sessions(), 120), cloud.left()
    assert cloud.there() == [name] and cloud.records() == [name] and len(reapers_of(cloud.operator)) == 1
    assert cloud.bottle("vm", "destroy", name, config=cloud.config()).returncode == 0
    assert until(cloud.nothing_left, 120), cloud.left()


def test_a_vm_whose_start_fails_is_not_kept(cloud):
    done = cloud.start("true", "--keep", options={"fault": "ssh-info-garbage"})
    assert done.returncode == 125 and not cloud.there() and not cloud.records(), (done.stderr, cloud.left())


def test_a_vm_that_becomes_unreachable_while_the_agent_runs(cloud, until):
    """After the gate is open, the VM can no longer be reached. It ends by its own clock, and its start says what was
    lost."""
    def begin(ttl):
        process = cloud.start("sleep 300", wait=False, vm={"ttl": "%ds" % ttl})
        output = Lines(process, process.stderr)
        if until(lambda: output.said('"event":"running"') or process.poll() is not None, ttl) and process.poll() is None:
            with contextlib.suppress(ValueError, FileNotFoundError, RuntimeError):  # the end comes first
                record = record_of(cloud)
                answer_ssh(cloud, record["name"], False)
                if record["until"] - time.time() > margin(ttl) + 1:
                    return process, output
        process.wait(ttl + 300)
        output.thread.join()
        return None

    ttl, (process, output) = with_little_time(cloud, until, begin)
    assert until(lambda: process.poll() is not None, ttl + 180), (output.lines, cloud.left())
    output.thread.join()
    assert process.returncode == 125 and output.said("is gone, and so is the work that was not fetched") and not output.said("may still exist"), output.lines
    assert until(cloud.nothing_left, 120), cloud.left()


# -- the process that made the VM dies

@pytest.mark.parametrize("record", range(1, 10))
def test_kill_of_the_supervisor_at_every_record(cloud, until, record):
    """The records are: owner, job, VM, its address, the base of the work, values sent, agent runs, ended, home."""
    done = cloud.start(WORK if record < 8 else "echo made >made.txt", env={"BOTTLE_TEST_KILL_AT_RECORD": str(record)})
    # A start that fails for another reason ends with the same status.
    assert done.returncode == 125 and "supervisor closed the connection" in done.stderr, done.stderr
    if not until(cloud.nothing_left, 5 if not cloud.records() else 120):
        done = cloud.bottle("start", "a", "--yes", "--headless", "-p", "true", config=cloud.config())  # the next command, which may be any
        assert done.returncode == 0, done.stderr
        assert until(cloud.nothing_left, 120), cloud.left()
    assert until(lambda: not reapers_of(cloud.operator), 60)
    assert record < 8 or came_home(cloud), done.stderr


def test_kill_of_everything_then_the_next_command_brings_the_work_home(cloud, until):
    process = cloud.start(WORK, wait=False)
    assert working(cloud, until), process.communicate()[1]
    (name,) = cloud.records()
    kill_for_sure(*reapers_of(cloud.operator), record_of(cloud)["owner_process"]["pid"], process.pid)
    process.communicate()
    assert cloud.there() == [name] and not came_home(cloud)
    done = cloud.bottle("start", "a", "--yes", "--headless", "-p", "true", config=cloud.config())
    assert done.returncode == 0 and "VM " + name + " has lost its owner" in done.stderr, done.stderr
    assert until(cloud.nothing_left, 120), cloud.left()
    assert came_home(cloud)


def test_a_vm_is_held_while_its_work_cannot_be_fetched(cloud, until):
    process = cloud.start(WORK, wait=False)
    assert working(cloud, until), process.communicate()[1]
    (name,) = cloud.records()
    record = os.path.join(cloud.world.state(cloud.operator.home), "vms", name, "vm.json")
    answer_ssh(cloud, name, False)
    kill_for_sure(json.load(open(record))["owner_process"]["pid"])
    process.communicate()
    assert until(lambda: json.load(open(record))["held"], 180), cloud.left()
    assert cloud.there() == [name] and reapers_of(cloud.operator)
    answer_ssh(cloud, name, True)
    done = cloud.bottle("cleanup", config=cloud.config())
    assert done.returncode == 0, done.stderr
    assert until(cloud.nothing_left, 120), cloud.left()
    assert came_home(cloud)


def test_cleanup_holds_a_vm_whose_work_it_cannot_fetch(cloud, until):
    """All processes on the near side are dead, and the VM's sshd does not answer. `bottle cleanup` does not destroy the
    work that it cannot fetch, and says so."""
    process = cloud.start(WORK, wait=False)
    assert working(cloud, until), process.communicate()[1]
    (name,) = cloud.records()
    answer_ssh(cloud, name, False)
    kill_for_sure(*reapers_of(cloud.operator), supervisor_of(cloud.operator)[1], process.pid)
    process.communicate()
    session = name.partition("-")[2]
    held = "VM %s holds work of session %s that could not be fetched" % (name, session)
    done = cloud.bottle("cleanup", config=cloud.config(), timeout=180)
    assert done.returncode == 125 and held in done.stderr, done.stderr
    assert cloud.there() == [name] and reapers_of(cloud.operator), "one that destroys it once it has expired"
    (vm,) = json.loads(cloud.bottle("vm", "list", "--json", config=cloud.config()).stdout)
    assert vm["state"] == "held" and 0 < vm["ends_in"] < 1200, vm
    heading, row = cloud.bottle("vm", "list", config=cloud.config()).stdout.splitlines()
    shown = {column: row[heading.index(column):].split("  ")[0] for column in ("VM", "STATE", "SESSION", "AGE", "ENDS IN", "COST/H")}
    assert shown.pop("AGE").endswith((" s", " min")) and shown.pop("ENDS IN").endswith(" min"), row
    assert shown == {"VM": name, "STATE": "held", "SESSION": session, "COST/H": "0.001 USD"}
    done = cloud.bottle("start", "a", "--yes", "--headless", "-p", "true", config=cloud.config())
    assert done.returncode == 0 and done.stderr.count(held) == 1, done.stderr
    answer_ssh(cloud, name, True)
    done = cloud.bottle("cleanup", config=cloud.config())
    assert done.returncode == 0, done.stderr
    assert until(cloud.nothing_left, 120), cloud.left()
    assert came_home(cloud)
