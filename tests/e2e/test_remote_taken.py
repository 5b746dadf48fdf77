"""Tests a machine that was taken over: a program that lies replaces its `bottle` (tests/world/taken.py). Whatever it
sends, the near side continues, and the operator's terminal and memory stay under control."""

import contextlib
import json
import os
import shutil
import time

import pytest

import world as world_module
from far import background, running, start, supervisor_of, worktree


@contextlib.contextmanager
def taken(far, remote, **lies):
    assert start(remote, far, "true").status == 0  # the program is there
    cache = os.path.join(far.home, ".cache", "bottle")
    # The name is a hash of the program. Its length depends on whether the near side can read the linker's hash.
    paths = [os.path.join(cache, name) for name in os.listdir(cache)]
    (program,) = [path for path in paths if os.path.isfile(path) and os.access(path, os.X_OK)]
    real, told, served = (os.path.join(cache, "taken." + name) for name in ("real", "json", "served"))
    os.rename(program, real)
    shutil.copy(os.path.join(world_module.HERE, "taken.py"), program)
    os.chmod(program, 0o755)
    with open(told, "w") as file:
        json.dump(lies, file)
    try:
        yield lambda: os.path.getsize(served) if os.path.exists(served) else 0
    finally:
        os.rename(real, program)
        for path in (told, served):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


@pytest.mark.parametrize("receipt", [{}, {"confirmed": None, "left": None}, {"confirmed": "yes", "left": "nothing"}, {"left": ["\x1b[2Jgone\nbottle: all is well"]}])
def test_an_empty_receipt_of_a_hostile_machine(remote, far, until, receipt):
    with taken(far, remote, receipt=receipt):
        session = start(remote, far, "echo precious >precious; exit 6")
        assert session.status == 125 and "the result cannot be read: " in session.err and " confirmed that the agent's container" not in session.err and "\x1b[2J" not in session.err, session.explain()
        assert "\nbottle: all is well" not in session.err, session.err
        assert "run `bottle cleanup`" in session.err, session.err
        assert worktree(remote, "precious") == "precious\n"
    # If its supervisor is still ending, cleanup leaves it alone.
    assert until(lambda: remote.bottle("cleanup", env=remote.extra_env, timeout=360).returncode == 0 and not remote.sessions(), 60, 1)


def test_reconnecting_stops_if_connections_end_at_once(remote, far, until):
    with taken(far, remote, serve="flap") as served:
        child = background(remote, far, "sleep 600")
        running(remote, until)
        _, supervisor = supervisor_of(remote)
        far.kill_connections()
        assert until(lambda: served() >= 2, 60)
        before = served()
        time.sleep(10)
        assert served() - before <= 6, served()

        def states():
            return world_module.run("ps", "-o", "stat=", "--ppid", str(supervisor), check=False).stdout.split()
        assert until(lambda: sum(state.startswith("Z") for state in states()) <= 1, 10), states()
    # The real program is back.
    (session,) = remote.sessions()
    assert remote.bottle("stop", session, env=remote.extra_env, timeout=360).returncode == 0
    child.communicate(timeout=360)


def test_endless_output_of_a_hostile_machine_is_not_read(remote, far, until):
    with taken(far, remote, serve="long"):
        child = background(remote, far, "sleep 5; echo precious >precious")
        out, err = child.communicate(timeout=360)
        assert child.returncode == 0 and "sent invalid data" in err, err
        assert worktree(remote, "precious") == "precious\n"


def test_errors_of_a_hostile_machine_do_nothing_to_the_terminal(remote, far):
    world = remote.world
    [image] = [tag for image in world.engine("GET", "/images/json") for tag in image["RepoTags"] or [] if tag.startswith("bottle-agent-shell:")]
    world.docker("tag", image, "operators-other:1")
    with taken(far, remote, layers="complain"):
        session = start(remote, far, "true", "--image", "operators-other:1")
        assert session.status == 125 and "words" in session.err and not set("\x1b\x07\u009b") & set(session.err), session.explain()


def test_a_hostile_machine_that_does_not_read_the_workspace(remote, far):
    with open(os.path.join(remote.workspace, "large"), "wb") as file:
        file.write(os.urandom(24 << 20))  # more than what the connection holds
    with taken(far, remote, deliver="unread"):
        session = start(remote, far, "true", "--workspace", "copy")
    assert session.status == 125 and "it did not read all of it" in session.err, session.explain()
