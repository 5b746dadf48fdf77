"""Kills processes with SIGKILL after every record of the ledger, and while the engine works. The next command removes
everything, and the agent's work comes home."""

import contextlib
import glob
import json
import os
import signal
import subprocess
import threading
import time

import pytest

from gated_engine import GatedEngine
from look import came_home, containers, everything, kill_all, make_file, processes_of, state_files, supervisors_of, written
from operators import wait_for

# The ledger of a session, in order: owner, engine, make, asked (network), asked twice (guard and agent), work, running,
# ended, home.
RECORDS = range(1, 11)
RUNNING, ENDED = 8, 9
SCRIPT = "cd /workspace && echo kept > kept.txt; sleep %d"


def temporary(operator):
    """Makes a separate directory for temporary files."""
    where = os.path.join(operator.home, "tmp")
    os.makedirs(where, exist_ok=True)
    return where


def launch(operator, script, **variables):
    env = {**operator.world.environment(operator.config(), operator.home), "TMPDIR": temporary(operator),
           **{name: str(value) for name, value in variables.items()}}
    script = '[ "$BOTTLE_TEST" = inside ] || exit 99\n' + script
    return subprocess.Popen(operator.world.command("start", "a", "--yes", "--headless", "-p", script), cwd=operator.workspace, env=env,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def before(world, operator):
    """Returns what the engine has without a session. Creates the shared network first."""
    assert operator.bottle("engine", "prepare").returncode == 0
    return everything(world)


def assert_nothing_is_left(world, operator, before):
    assert everything(world) == before
    assert operator.sessions() == [] and state_files(operator) == []
    assert os.listdir(temporary(operator)) == []
    assert wait_for(lambda: not processes_of(operator), 10, 0.02), processes_of(operator)  # a supervisor reports its result before it exits


@pytest.mark.parametrize("record, then", [(record, "cleanup") for record in RECORDS] + [(record, "start") for record in (3, 6, 9)])
def test_kill_9_of_the_supervisor_at_every_record(world, operator, before, record, then):
    process = launch(operator, SCRIPT % (0 if record >= ENDED else 100), BOTTLE_TEST_KILL_AT_RECORD=record)
    out, err = process.communicate(timeout=360)
    assert process.returncode == 125 and "supervisor closed the connection" in err, (out, err)
    if then == "cleanup":
        done = operator.bottle("cleanup")
        assert done.returncode == 0, done
    else:
        session = operator.start("true")
        assert session.status == 0, session.explain()
    assert_nothing_is_left(world, operator, before)
    if record >= ENDED:
        assert "kept\n" in came_home(operator, "kept.txt")


def test_the_ledger_has_no_records_that_these_tests_miss(operator, before):
    process = launch(operator, "true", BOTTLE_TEST_KILL_AT_RECORD=RECORDS[-1] + 1)
    out, err = process.communicate(timeout=360)
    assert process.returncode == 0, (out, err)


@pytest.mark.parametrize("record", RECORDS)
def test_kill_9_of_the_launcher_at_every_record(world, operator, before, until, record):
    # If the agent runs at that point, the session continues, and another launcher can attach.
    script = "cd /workspace && echo kept > kept.txt; while [ ! -e /tmp/go ]; do echo tick; sleep 0.1; done" if record == RUNNING else SCRIPT % 2
    process = launch(operator, script, BOTTLE_TEST_KILL_LAUNCHER_AT_RECORD=record)
    process.communicate(timeout=360)
    assert process.returncode == -signal.SIGKILL
    if record == RUNNING:
        attached = subprocess.Popen(operator.world.command("attach", *operator.sessions()), env=world.environment(None, operator.home),
                                    cwd=operator.workspace, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert attached.stdout.readline() == "tick\n"
        written(operator, until)
        make_file(world, containers(world, "agent")[0]["Id"], "/tmp/go")
        out, err = attached.communicate(timeout=360)
        assert attached.returncode == 0, (out, err)
    # The supervisor itself removes what it created.
    assert until(lambda: not processes_of(operator), 40)
    assert_nothing_is_left(world, operator, before)
    # The last check for the launcher is between the two records; a killed process may still exist for a moment.
    if record != RUNNING - 1:
        assert ("kept\n" in came_home(operator, "kept.txt")) == (record >= RUNNING)


@pytest.mark.parametrize("record", RECORDS)
def test_kill_9_of_both_at_every_record(world, operator, before, until, record):
    process = launch(operator, SCRIPT % (0 if record >= ENDED else 100), BOTTLE_TEST_KILL_LAUNCHER_AT_RECORD=record, BOTTLE_TEST_KILL_AT_RECORD=record)
    process.communicate(timeout=360)
    assert until(lambda: not processes_of(operator), 20)  # the supervisor dies after the launcher
    done = operator.bottle("cleanup")
    assert done.returncode == 0, done
    assert_nothing_is_left(world, operator, before)


@pytest.mark.parametrize("workspace", ["none", "bind"])
def test_a_killed_session_without_a_workspace_keeps_its_transcript(world, operator, before, until, workspace):
    process = operator.background("curl -s http://allowed.example.org/; mkdir -p ~/.claude/projects/p; echo '{\"said\": 1}' >~/.claude/projects/p/1.jsonl; "
                                  "echo yes >/tmp/written; sleep 100", workspace=workspace)
    written(operator, until, "/tmp/written")
    [session] = operator.sessions()
    kill_all(operator)
    process.communicate(timeout=360)
    done = operator.bottle("cleanup")
    assert done.returncode == 0, done
    assert_nothing_is_left(world, operator, before)
    with open(os.path.join(world.state(operator.home), "results", session, "transcript", "1.jsonl")) as file:
        assert json.load(file) == {"said": 1}
    result = json.loads(operator.bottle("logs", session, "--json").stdout)
    assert result["exit"] == 125 and result["what"] and result["receipt"]["confirmed"], result
    verified = operator.bottle("audit", "verify", session)
    assert verified.returncode == 0 and os.path.exists(os.path.join(world.state(operator.home), "results", session, "egress.jsonl")), verified


def test_the_work_of_a_killed_session_comes_home(world, operator, before, until, runtime):
    process = operator.background("cd /workspace && echo kept > kept.txt && git add -A && git -c user.name=a -c user.email=a@b.invalid commit -qm done"
                                  " && echo more > untracked.txt; sleep 100", runtime=runtime)
    written(operator, until, "/workspace/untracked.txt")
    kill_all(operator)
    process.communicate(timeout=360)
    session = operator.sessions()[0]
    listed = json.loads(operator.bottle("list", "--json").stdout)
    assert [entry["state"] for entry in listed] == ["held"]
    done = operator.bottle("cleanup")
    assert done.returncode == 0, done
    assert "refs/bottle/" + session in done.stderr, done
    assert "kept\n" in came_home(operator, "kept.txt") and "more\n" in came_home(operator, "untracked.txt")
    assert operator.git("status", "--porcelain") == ""
    assert_nothing_is_left(world, operator, before)
    result = json.load(open(os.path.join(world.state(operator.home), "results", session, "result.json")))
    assert result["back"]["commits"] == 1 and result["receipt"]["confirmed"]


@contextlib.contextmanager
def results_disk(world, operator, size):
    """Keeps the results of sessions on a disk of this size. Yields a function that makes the disk large and returns its
    path."""
    results = os.path.join(world.state(operator.home), "results")
    os.makedirs(results)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=" + size, "none", results], check=True)

    def grow():
        subprocess.run(["mount", "-o", "remount,size=64m", results], check=True)
        return results

    try:
        yield grow
    finally:
        subprocess.run(["umount", "-l", results], check=True)


def test_work_that_cannot_come_home_is_held_until_it_can(world, operator, before, until):
    """At the end of the session, the disk for results is full. The container stays, the session says so, and the next
    command brings the work home."""
    with results_disk(world, operator, "256k") as grow_disk:
        session = operator.start("cd /workspace && head -c 4000000 /dev/urandom > big && echo kept > kept.txt")
        assert session.status == 0 and "No space left" in session.err, session.explain()
        assert "bottle cleanup" in session.err, session.explain()
        held = [line for line in world.left() if "agent" in line]
        assert len(held) == 1, world.left()
        again = operator.bottle("cleanup")
        assert again.returncode == 125 and "No space left" in again.stderr, again
        assert [line for line in world.left() if "agent" in line] == held
        grow_disk()
        done = operator.bottle("cleanup")
        assert done.returncode == 0, done
    assert "kept\n" in came_home(operator, "kept.txt")
    assert_nothing_is_left(world, operator, before)


def test_held_work_survives_the_removal_of_stopped_containers(world, operator, before, until):
    """`docker container prune` removes the container that holds work. The volume with the work stays, and the work comes
    home from it."""
    with results_disk(world, operator, "256k") as grow_disk:
        session = operator.start("cd /workspace && head -c 4000000 /dev/urandom > big && echo kept > kept.txt")
        assert session.status == 0 and "bottle cleanup" in session.err, session.explain()
        world.docker("container", "prune", "-f")
        assert not [line for line in world.left() if "agent" in line], world.left()
        assert [line for line in world.left() if "work" in line], world.left()
        grow_disk()
        done = operator.bottle("cleanup")
        assert done.returncode == 0, done
    assert "kept\n" in came_home(operator, "kept.txt")
    assert_nothing_is_left(world, operator, before)


def test_work_of_which_a_part_cannot_come_home_is_held(world, operator, before, until):
    """A repository that the agent made in the workspace is only in the archive of the workspace, and there is no room
    for the archive. The rest of the work is home, but the container stays."""
    with open(os.path.join(operator.workspace, "large"), "wb") as file:
        file.write(os.urandom(20 << 20))
    operator.git("add", "-A")
    operator.git("-c", "user.name=o", "-c", "user.email=o@example.org", "commit", "-qm", "large")
    with results_disk(world, operator, "8m") as grow_disk:
        session = operator.start("cd /workspace && echo kept > kept.txt && git init -q tool && cd tool && echo inner > inner.txt && git add -A"
                                 " && git -c user.name=a -c user.email=a@b.invalid commit -qm inner")
        assert session.status == 0 and "No space left" in session.err, session.explain()
        assert "bottle cleanup" in session.err, session.explain()
        held = [line for line in world.left() if "agent" in line]
        assert len(held) == 1, world.left()
        again = operator.bottle("cleanup")
        assert again.returncode == 125 and "No space left" in again.stderr, again
        results = grow_disk()
        done = operator.bottle("cleanup")
        assert done.returncode == 0, done
        archive = subprocess.run(["tar", "-tf", glob.glob(results + "/*/workspace.tar")[0]], capture_output=True, text=True, check=True).stdout
        assert "tool/.git/refs/heads/" in archive and "tool/inner.txt" in archive, archive
    assert "kept\n" in came_home(operator, "kept.txt")
    assert_nothing_is_left(world, operator, before)


@pytest.mark.parametrize("scratch, hold, answer", [("outgoing", "PUT .*/archive", 0), ("incoming", "GET .*/archive.*path=%2Fworkspace", 1 << 18)],
                         ids=["outgoing", "incoming"])
def test_kill_9_while_the_workspace_travels(world, operator, before, until, scratch, hold, answer):
    """The temporary files on the disk are removed with the session. The engine stops in the middle of the archive."""
    for i in range(2000):
        with open(os.path.join(operator.workspace, "f%d" % i), "w") as file:
            file.write("%d\n" % i * 50)
    operator.git("add", "-A")
    operator.git("-c", "gc.auto=0", "-c", "user.name=o", "-c", "user.email=o@example.org", "commit", "-qm", "many")
    found = os.path.join(world.state(operator.home), "sessions", "*", scratch + "-*")
    gate = os.path.join(operator.home, "gate.sock")
    with GatedEngine(gate, world.socket, hold, answer) as engine:
        process = launch(operator, "cd /workspace && echo kept > kept.txt; for f in f*; do echo more >> $f; done", DOCKER_HOST="unix://" + gate)
        assert engine.held.wait(360), process.communicate()
        assert until(lambda: glob.glob(found), 20), "there is nothing to clean up"
        kill_all(operator)
        process.communicate(timeout=360)
        engine.open()
        done = operator.bottle("cleanup", env={"DOCKER_HOST": "unix://" + gate})
        assert done.returncode == 0, done
    assert_nothing_is_left(world, operator, before)
    assert ("kept\n" in came_home(operator, "kept.txt")) == (scratch == "incoming")


@pytest.mark.parametrize("delay", [0, 0.05, 0.15, 0.3])
def test_a_create_request_at_a_frozen_engine_is_cleaned_up_later(world, operator, before, until, delay):
    """The engine is stopped while it works on the supervisor's requests, the supervisor dies, and the engine continues.
    The command that was waiting removes whatever the engine then creates."""
    process = launch(operator, "sleep 100", BOTTLE_TEST_KILL_AT_RECORD=0)
    try:
        assert until(lambda: supervisors_of(operator), 30, 0.005)
        time.sleep(delay)
        os.kill(world.dockerd.pid, signal.SIGSTOP)
        time.sleep(0.5)
        kill_all(operator)
        process.communicate(timeout=360)
        answers = []
        cleaner = threading.Thread(target=lambda: answers.append(operator.bottle("cleanup")))
        cleaner.start()
        time.sleep(0.5)
    finally:
        os.kill(world.dockerd.pid, signal.SIGCONT)
    cleaner.join()
    assert answers[0].returncode == 0, answers
    assert_nothing_is_left(world, operator, before)
    time.sleep(1)
    assert_nothing_is_left(world, operator, before)


def test_two_processes_sweep_at_once(world, operator, before, until):
    process = operator.background("cd /workspace && echo kept > kept.txt; sleep 100")
    written(operator, until)
    kill_all(operator)
    process.communicate(timeout=360)
    both = [subprocess.Popen(world.command("cleanup"), env=world.environment(None, operator.home), stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for cleaner in both:
        out, err = cleaner.communicate(timeout=300)
        assert cleaner.returncode == 0, (out, err)
    assert_nothing_is_left(world, operator, before)
    assert "kept\n" in came_home(operator, "kept.txt")
    assert not containers(world, "agent")
