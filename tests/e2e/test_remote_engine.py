"""Tests the engine of another machine: one that runs without root, and one that dies while an agent works."""

import json
import signal
import subprocess
import time

import pytest

from far import Lines, background, restart_sshd, running, start, state_of, worktree
from look import kill, standing


def test_a_rootless_remote_engine(remote, far):
    """No variable or login session names the socket. bottle finds it where rootless engines put it."""
    since = time.time()
    with far.rootless_dockerd():
        done = remote.bottle("remote", "check", far.target, "--json", env=remote.extra_env)
        found = {f["code"]: f for f in json.loads(done.stdout)["findings"]}
        assert done.returncode == 0 and found["engine"]["severity"] == "ok", done.stdout + done.stderr
        assert found["rootless"]["severity"] == "ok" and "without root" in found["rootless"]["what"], found
        session = start(remote, far, "curl -sS -m 20 https://allowed.example.org/hello; curl -sS -m 20 https://forbidden.example.net/; echo made >made.txt; "
                                     "git add -A; git -c user.name=a -c user.email=a@b commit -qm work; echo more >untracked; exit 7")
        assert session.status == 7, session.explain()
        assert "hello from allowed.example.org" in session.out and "hello from forbidden" not in session.out, session.explain()
        assert session.denials("forbidden.example.net") and remote.world.seen("forbidden.example.net", since) == [], session.audit()
        assert worktree(remote, "made.txt") == "made\n" and worktree(remote, "untracked") == "more\n"
        assert "The engine on %s confirmed that" % far.target in session.err, session.err
        assert far.left() == [] and remote.sessions() == []


def working(remote, far, until):
    """Starts a session whose agent has done some work and continues. Returns its launcher."""
    child = background(remote, far, "echo precious >precious; echo made; sleep 600")
    assert child.stdout.readline() == "made\n", child.communicate()
    running(remote, until)
    return child


def test_the_far_engine_dies_and_stays_down(remote, far, until):
    """The operator is told, and the container holds the work. When the engine is back, `bottle cleanup` brings the work
    home and leaves nothing."""
    child = working(remote, far, until)
    [session] = remote.sessions()
    far.kill_dockerd()
    try:
        out, err = child.communicate(timeout=360)
        assert child.returncode != 0, err
        assert "bringing the work home failed" in err and "still be in its container" in err and "bottle cleanup" in err, err
        assert remote.sessions() == [session] and state_of(remote) == "unfetched", "its record is how it is found again"
        done = remote.bottle("cleanup", env=remote.extra_env, timeout=360)
        assert done.returncode == 125 and remote.sessions() == [session], done
    finally:
        far.revive_dockerd()
    done = remote.bottle("cleanup", env=remote.extra_env, timeout=360)
    assert done.returncode == 0 and "on its remote machine" in done.stdout, done
    assert worktree(remote, "precious") == "precious\n"
    assert far.left() == [] and remote.sessions() == []


def test_work_that_something_else_removed_from_the_machine_is_reported_as_lost(remote, far, restored, until):
    """The agent has ended, and its work is not collected yet when its container and volume go."""
    restart_sshd(far, SetEnv="BOTTLE_TEST_STOP_AT_RECORD=9")
    child = background(remote, far, "echo precious >precious; exit 7")
    try:
        assert until(lambda: standing(far.pids()) or child.poll() is not None, 120, 0.02) and child.poll() is None
        [agent] = [name for kind, name in map(str.split, far.left()) if name.endswith("-agent")]
        subprocess.run(["docker", "-H", "unix://" + far.socket, "rm", "-f", agent], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["docker", "-H", "unix://" + far.socket, "volume", "rm", agent[1:].replace("-agent", "-work")], check=True, stdout=subprocess.DEVNULL)
    finally:
        kill(standing(far.pids()), signal.SIGCONT)
    out, err = child.communicate(timeout=360)
    assert child.returncode == 7 and "lost" in err, err
    done = remote.bottle("cleanup", env=remote.extra_env, timeout=360)
    assert done.returncode == 0 and far.left() == [] and remote.sessions() == [], done


def test_the_far_engine_dies_and_restarts(remote, far, until):
    """bottle waits for the work, so the operator need not do anything."""
    child = working(remote, far, until)
    errors = Lines(child, child.stderr)
    far.kill_dockerd()
    noticed = until(lambda: errors.said("could not be fetched yet") or child.poll() is not None, 60)
    far.revive_dockerd()
    assert noticed and child.wait(360) != 0, errors.lines
    err = errors.all()
    assert worktree(remote, "precious") == "precious\n"
    assert "The engine on %s confirmed that" % far.target in err, err
    assert far.left() == [] and remote.sessions() == []


@pytest.mark.parametrize("record", (3, 7))  # before anything is created; when only the gate is closed
def test_the_far_engine_dies_while_a_session_starts(remote, far, restored, until, record):
    restart_sshd(far, SetEnv="BOTTLE_TEST_STOP_AT_RECORD=%d" % record)
    child = background(remote, far, "sleep 600")
    try:
        assert until(lambda: standing(far.pids()) or child.poll() is not None, 120, 0.02) and child.poll() is None
        far.kill_dockerd()
        kill(standing(far.pids()), signal.SIGCONT)
        out, err = child.communicate(timeout=360)
        assert child.returncode == 125 and "bottle: " in err, err
        # At the third record, the engine may still be asked for names that are in use. Then nothing has been made.
        assert "bottle cleanup" in err or (record == 3 and "start dockerd" in err), err
    finally:
        child.kill()
        child.communicate()
        kill(standing(far.pids()))
        far.revive_dockerd()
    done = remote.bottle("cleanup", env=remote.extra_env, timeout=360)
    assert done.returncode == 0, done
    assert far.left() == [] and remote.sessions() == []
