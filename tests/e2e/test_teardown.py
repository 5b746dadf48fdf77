"""Nothing of a session is left after its end, after a stop, and after kill -9."""

import time

import pytest

from look import came_home, everything, kill_everything, kill_for_sure, make_file, processes_of, running, supervisors_of, written


def test_nothing_is_left_after_a_session(world, operator, until, runtime):
    operator.start("true", runtime=runtime)  # makes the shared network, if it is the first
    before = everything(world)
    session = operator.start("echo hi > /workspace/f; echo hi > ~/g", runtime=runtime)
    assert session.status == 0, session.explain()
    assert everything(world) == before
    assert operator.sessions() == []
    assert until(lambda: processes_of(operator) == [], 60)  # the supervisor reports its result before it exits


def test_stop_ends_a_session_and_its_work_comes_back(operator, until):
    process = operator.background("cd /workspace && echo kept > kept.txt && git add -A && git -c user.name=a -c user.email=a@b.invalid commit -qm x; echo yes > committed; sleep 100")
    written(operator, until, "/workspace/committed")
    done = operator.bottle("stop", operator.sessions()[0])
    assert done.returncode == 0, done
    out, err = process.communicate(timeout=360)
    refs = operator.git("for-each-ref", "--format=%(refname)", "refs/bottle").split()
    assert any(operator.git("show", ref + ":kept.txt") == "kept\n" for ref in refs), (refs, err)
    assert operator.world.left() == [] and operator.sessions() == []


@pytest.mark.parametrize("signal", ["SIGWINCH", "SIGKILL"])
def test_the_image_does_not_choose_the_signal_that_stops_the_agent(world, operator, until, signal):
    """Images of web servers name SIGWINCH or SIGQUIT."""
    image = "stops-with-%s:1" % signal.lower()
    world.docker("build", "-t", image, "-", input="FROM %s\nSTOPSIGNAL %s\n" % (world.load_image("shell"), signal))
    try:
        process = operator.background("trap 'echo saved >/workspace/kept.txt; exit 3' TERM; echo yes >/tmp/ready; while :; do sleep 0.1; done", image=image)
        written(operator, until, "/tmp/ready")
        assert operator.bottle("stop", *operator.sessions()).returncode == 0
        out, err = process.communicate(timeout=360)
        assert process.returncode == 3 and came_home(operator, "kept.txt") == ["saved\n"], (process.returncode, out, err)
    finally:
        world.docker("rmi", "-f", image, check=False)


@pytest.mark.parametrize("delay", [0.05, 0.15, 0.3, 0.5, 0.8, 1.2, 2.5])
def test_kill_9_of_everything_then_cleanup(world, operator, until, delay):
    process = operator.background("sleep 100")
    time.sleep(delay)
    kill_everything(operator, process)
    process.communicate(timeout=360)
    done = operator.bottle("cleanup")
    assert done.returncode == 0, done
    assert world.left() == []
    assert operator.sessions() == []
    again = operator.bottle("cleanup")
    assert again.returncode == 0 and "nothing" in again.stdout


def test_kill_9_of_the_supervisor_cuts_the_network(world, operator, until):
    process = operator.background("sleep 100")
    running(operator, until)
    supervisors = supervisors_of(operator)
    assert len(supervisors) == 1, processes_of(operator)
    kill_for_sure(*supervisors)
    out, err = process.communicate(timeout=360)
    assert process.returncode == 125, (out, err)

    def guard_gone():
        return not any(c["Labels"].get("bottle.role") == "guard" for c in world.engine("GET", "/containers/json"))
    assert until(guard_gone, 60), "the guard outlived its owner"
    shown = operator.bottle("cleanup", "--dry-run")
    assert "would remove container" in shown.stdout and world.left() != []
    assert operator.bottle("cleanup").returncode == 0
    assert world.left() == []


def test_the_next_start_sweeps(world, operator, until):
    process = operator.background("sleep 100")
    running(operator, until)
    kill_everything(operator, process)
    process.communicate(timeout=360)
    assert world.left() != []
    session = operator.start("echo fine")
    assert session.status == 0 and "fine" in session.out, session.explain()
    assert world.left() == []


def test_cleanup_leaves_a_living_session_alone(operator, until):
    process = operator.background("until [ -e /tmp/go ]; do sleep 0.1; done; echo alive")
    running(operator, until)
    assert operator.bottle("cleanup").returncode == 0
    make_file(operator.world, "bottle-%s-agent" % operator.sessions()[0], "/tmp/go")
    out, err = process.communicate(timeout=360)
    assert process.returncode == 0 and "alive" in out, (out, err)


def test_a_session_continues_if_its_launcher_dies(operator, until):
    process = operator.background("until [ -e /tmp/go ]; do sleep 0.1; done; echo kept > /workspace/kept.txt")
    running(operator, until)
    process.kill()
    process.communicate(timeout=360)
    [session] = operator.sessions()  # the supervisor owns it
    make_file(operator.world, "bottle-%s-agent" % session, "/tmp/go")
    assert until(lambda: not operator.sessions(), 60)
    assert came_home(operator, "kept.txt") == ["kept\n"]
    assert operator.world.left() == []


def test_several_sessions_at_once(world, operator):
    processes = [operator.background("echo number %d; sleep 1" % i) for i in range(5)]
    for i, process in enumerate(processes):
        out, err = process.communicate(timeout=360)
        assert process.returncode == 0 and "number %d" % i in out, err
    assert world.left() == [] and operator.sessions() == []
