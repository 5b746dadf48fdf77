"""bottle tries a runtime before its first session, with a time limit. It does not try again one that passed."""

import json
import os
import signal
import time

import pytest

from look import everything, state_files
from operators import wait_for

STANDARD = ("io.containerd.runc.v2", "io.containerd.runtime.v1.linux", "runc")  # what the engine has without being told


@pytest.fixture
def runtimes(world):
    """Registers scripts as runtimes of the engine, as an operator would. The engine reads its list again on SIGHUP."""
    path = world.path("daemon.json")
    kept = open(path).read()

    def register(**scripts):
        config = json.loads(kept)
        for name, text in scripts.items():
            program = world.path(name)
            with open(program, "w") as file:
                file.write("#!/bin/sh\n" + text)
            os.chmod(program, 0o755)
            config["runtimes"][name] = {"path": program}
        with open(path, "w") as file:
            json.dump(config, file)
        reload(world, set(config["runtimes"]))
    yield register
    with open(path, "w") as file:
        file.write(kept)
    reload(world, set(json.loads(kept)["runtimes"]))


def reload(world, names):
    os.kill(int(open(world.path("dockerd.pid")).read()), signal.SIGHUP)
    engines = set(STANDARD)
    assert wait_for(lambda: set(world.engine("GET", "/info")["Runtimes"]) - engines == names - engines, 60), names


def trials(world, since):
    """Returns how many containers of trials the engine made. It keeps only its last 256 events, and a session causes about
    fifty, so this is for one session."""
    events = world.engine("GET", "/events?since=%.6f&until=%.6f&filters=%s" % (since, time.time(), "%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B%22create%22%5D%7D"), raw=True)
    return events.count('"bottle.role":"trial"')


def test_a_runtime_that_passed_its_trial_is_not_tried_again(world, operator, runtimes):
    operator.forget_trials()
    log = world.path("counted.log")
    runtimes(counted="echo \"$@\" >> %s\nexec /usr/sbin/runc \"$@\"\n" % log)

    def tries(runtime):
        session = operator.start("true", runtime=runtime)
        assert session.status == 0, session.explain()
        return trials(world, session.since)
    assert [tries(runtime) for runtime in ("counted", "counted", "auto", "auto")] == [1, 0, 1, 0]
    os.utime(world.path("counted"))  # bottle must assume that it is another program
    assert tries("counted") == 1


def test_a_runtime_that_fails_its_trial(world, operator, runtimes):
    runtimes(broken="echo no kernel for you >&2\nexit 7\n")
    before = everything(world)
    for _ in range(2):  # a failure is not remembered
        session = operator.start("true", runtime="broken")
        assert session.status == 125 and "the runtime broken does not work" in session.err and "bottle doctor" in session.err, session.explain()
    assert everything(world) == before and operator.sessions() == [] and state_files(operator) == []


def test_a_runtime_that_hangs_in_its_trial(world, operator, runtimes, until):
    """The runtime hangs, as gVisor's KVM platform does if KVM does not work. A later command removes what the engine
    cannot remove while it hangs."""
    runtimes(hanging="case \"$*\" in *create*) exec sleep 60;; esac\nexec /usr/sbin/runc \"$@\"\n")
    before = everything(world)
    begun = time.time()
    session = operator.start("true", runtime="hanging", env={"BOTTLE_ENGINE_TIMEOUT": "10"})
    took = time.time() - begun
    assert session.status == 125 and "the runtime hanging does not work: it did not answer within 10 s" in session.err and "bottle cleanup" in session.err, session.explain()
    assert took < 50, took
    until(lambda: everything(world) == before, 120, 0.5)
    done = operator.bottle("cleanup")
    assert done.returncode == 0, done
    assert everything(world) == before and operator.sessions() == []
    # The engine may still create the requested container. Until it cannot, the record of the trial stays, and later
    # commands check again.
    assert [path for path in state_files(operator) if not path.startswith("graves/trial-")] == []
