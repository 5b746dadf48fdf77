"""Kills the connection to another machine at every step of a session, or stops everything on the near side, as when a
laptop sleeps. A step is a record of one of the two ledgers: the supervisor stops at it (BOTTLE_TEST_STOP_AT_RECORD)
while every ssh process of the session dies."""

import contextlib
import signal
import threading
import time

import pytest

from far import background, inside, restart_sshd, state_of, worktree
from look import kill, masters, standing, supervisors_of

# The records of a session's near ledger are owner, remote, base, may run, runs, ended and home. Those of the far ledger
# are owner, engine, make, asked (network), asked twice (guard and agent), work, running, ended and home. A session with
# a workspace has them all.
NEAR, FAR = range(1, 8), range(1, 11)
NEAR_RUNNING, FAR_RUNNING = 5, 8


WORK = "echo precious >precious; echo made; exit 7"


def cut_at_a_step(remote, far, until, pids, ran, env=None):
    """Either the session runs (and must if `ran`) and all output and work of the agent comes home, or it says why not.
    The next command leaves nothing."""
    child, stopped = background(remote, far, WORK, env=env), []
    try:
        assert until(lambda: stopped.extend(standing(pids())) or stopped or child.poll() is not None, 120, 0.02) and stopped, "no such step"
        kill(masters(remote.world, remote.extra_env["XDG_RUNTIME_DIR"]))
        kill(stopped, signal.SIGCONT)
        out, err = child.communicate(timeout=360)
    finally:
        kill(standing(pids()))
        child.kill()
        child.communicate()
    if ran or child.returncode != 125:  # a far supervisor notices a little later that its launcher is gone
        assert child.returncode == 7 and out == "made\n", (child.returncode, out, err)
        assert worktree(remote, "precious") == "precious\n", err
        assert " confirmed that the agent's container" in err, err
    else:
        assert child.returncode == 125 and out == "" and "before the agent ran" in err, (child.returncode, out, err)
    done = remote.bottle("cleanup", env=remote.extra_env, timeout=360)
    assert done.returncode == 0, done
    assert remote.sessions() == []


@pytest.mark.parametrize("record", NEAR)
def test_ssh_dies_at_every_near_record(remote, far, until, record):
    cut_at_a_step(remote, far, until, lambda: supervisors_of(remote), record >= NEAR_RUNNING, {"BOTTLE_TEST_STOP_AT_RECORD": str(record)})


@pytest.mark.parametrize("record", FAR)
def test_ssh_dies_at_every_far_record(remote, far, restored, until, record):
    restart_sshd(far, SetEnv="BOTTLE_TEST_STOP_AT_RECORD=%d" % record)
    cut_at_a_step(remote, far, until, far.pids, record >= FAR_RUNNING)


def test_ssh_dies_as_the_agent_starts_and_stays_down(remote, far, restored, until):
    """The gate is open, but the near side has not heard of it. It must not discard anything because of a guess."""
    restart_sshd(far, SetEnv="BOTTLE_TEST_STOP_AT_RECORD=%d" % FAR_RUNNING)
    child = background(remote, far, "echo precious >precious; sleep 600")
    try:
        assert until(lambda: standing(far.pids()) or child.poll() is not None, 120, 0.02) and child.poll() is None
        far.stop_sshd()
        try:
            kill(standing(far.pids()), signal.SIGCONT)
            out, err = child.communicate(timeout=360)
        finally:
            far.start_sshd()
        assert child.returncode == 125 and "reconnecting failed" in err and "bottle cleanup" in err, (child.returncode, err)
        assert state_of(remote) == "unattended"
    finally:
        kill(standing(far.pids()))
        child.kill()
        child.communicate()
    done = remote.bottle("cleanup", env=remote.extra_env, timeout=360)
    assert done.returncode == 0 and worktree(remote, "precious") == "precious\n" and remote.sessions() == [], done


def test_a_stop_while_only_the_far_side_knows_that_the_agent_runs(remote, far, restored, until):
    """The far side has the values and the agent works, but the near side has not heard of it. The agent's work is
    fetched before it is removed."""
    restart_sshd(far, SetEnv="BOTTLE_TEST_STOP_AT_RECORD=%d" % FAR_RUNNING)
    child = background(remote, far, "echo precious >precious; sleep 600")
    try:
        assert until(lambda: standing(far.pids()) or child.poll() is not None, 120, 0.02) and child.poll() is None
        assert until(lambda: inside(remote, far, "test", "-s", "/workspace/precious"), 60)
        child.send_signal(signal.SIGTERM)
        assert until(lambda: b"stop" in verbs_of(far), 30), "the far side is not asked to stop"
        kill(standing(far.pids()), signal.SIGCONT)
        out, err = child.communicate(timeout=360)
    finally:
        kill(standing(far.pids()))
        child.kill()
        child.communicate()
    assert child.returncode == 143 and "stopped before the agent ran" in err and "its work was brought home to refs/bottle/" in err, (child.returncode, err)
    assert worktree(remote, "precious") == "precious\n" and remote.sessions() == []


def verbs_of(far):
    """Returns the verbs of the `bottle far` processes on the machine."""
    found = []
    for pid in far.pids():
        with contextlib.suppress(OSError):
            argv = open("/proc/%d/cmdline" % pid, "rb").read().split(b"\0")
            found += argv[2:3] if argv[1:2] == [b"far"] else []
    return found


def test_the_near_side_is_suspended_like_a_sleeping_laptop(remote, far, until):
    """Everything of the session on the near side is stopped for longer than the connection may be silent, while the
    agent keeps running."""
    child, lines = background(remote, far, "for i in $(seq 180); do echo line-$i; sleep 0.1; done; echo precious >precious; exit 6"), []
    reader = threading.Thread(target=lambda: lines.extend(child.stdout))
    reader.start()
    asleep = []
    try:
        assert until(lambda: "line-10\n" in lines or child.poll() is not None, 60) and child.poll() is None, child.stderr.read()
        asleep = [child.pid, *supervisors_of(remote), *masters(remote.world, remote.extra_env["XDG_RUNTIME_DIR"])]
        kill(asleep, signal.SIGSTOP)
        time.sleep(3)  # what has left them arrives
        heard = len(lines)
        time.sleep(12)
        assert len(lines) == heard < 180
        kill(asleep, signal.SIGCONT)
        assert child.wait(360) == 6, child.stderr.read()
    finally:
        kill(asleep, signal.SIGCONT)
        child.kill()
        child.wait()
        reader.join(240)
    assert lines == ["line-%d\n" % i for i in range(1, 181)]
    assert worktree(remote, "precious") == "precious\n" and remote.sessions() == []
