"""Ctrl-C, SIGTERM and `bottle stop` end a launch at every moment: the launcher reports it within seconds, the agent
never runs, and nothing is left."""

import os
import signal
import subprocess
import sys
import time

import pexpect
import pytest

import fake_packages
from far import background, remember_another
from gated_engine import GatedEngine
from look import processes_of, state_files

SOON = 60  # seconds; bottle needs less than one, and the machine may be busy
LATE = {"BOTTLE_ENGINE_TIMEOUT": "600"}  # a call that the engine does not answer ends long after that by itself
# The requests at which the engine makes a launch wait, in the order of a launch.
MOMENTS = {"networks": "POST .*/networks/create", "guard's container": "POST .*/containers/create.*-guard",
           "agent's container": "POST .*/containers/create.*-agent", "workspace": "PUT .*/archive", "attach": "POST .*-agent/attach", "guard": "POST .*-guard/start",
           "gate": "POST .*-agent/start"}
WAYS = {"ctrl-c": 130, "term": 143, "stop": 143, "launcher killed": -signal.SIGKILL}
CASES = [(moment, "stop") for moment in MOMENTS] + [("workspace", way) for way in WAYS if way != "stop"] + [("gate", "ctrl-c")]


def give_up(operator, child, way, env=None):
    """Stops a launch. Returns the output of `bottle stop`, if that is how it was stopped."""
    if way == "stop":
        done = operator.bottle("stop", env=env)
        assert done.returncode == 0, done
        return done.stdout
    child.send_signal({"ctrl-c": signal.SIGINT, "term": signal.SIGTERM, "launcher killed": signal.SIGKILL}[way])
    return ""


def assert_given_up(operator, child, way, since, said):
    out, err = child.communicate(timeout=360)
    took = time.time() - since
    assert child.returncode == WAYS[way], (child.returncode, err)
    if way != "launcher killed":
        assert "bottle: stopped before the agent ran" in err, err
    if way == "stop":
        assert "before its agent ran" in said, said
    assert "AGENT RAN" not in out + err
    assert took < SOON, "it took %.1f s" % took


def assert_nothing_is_left(world, operator, until):
    assert until(lambda: not processes_of(operator), SOON), processes_of(operator)
    assert world.left() == [] and operator.sessions() == [] and state_files(operator) == []


@pytest.mark.parametrize("moment, way", CASES)
def test_ctrl_c_ends_a_launch(world, operator, until, moment, way):
    with open(os.path.join(operator.workspace, "big"), "wb") as file:
        file.write(os.urandom(24 << 20))  # more than what all buffers hold
    gate = os.path.join(operator.home, "gate.sock")
    with GatedEngine(gate, world.socket, MOMENTS[moment]) as engine:
        child = operator.background("echo AGENT RAN", variables={"DOCKER_HOST": "unix://" + gate, **LATE}, workspace="copy")
        assert engine.held.wait(360), child.communicate()
        since = time.time()
        said = give_up(operator, child, way)
        assert_given_up(operator, child, way, since, said)
        assert_nothing_is_left(world, operator, until)


def test_ctrl_c_ends_a_launch_while_the_workspace_is_copied(world, operator, until):
    """The terminal is in raw mode at that point, so the key arrives as a byte."""
    gate = os.path.join(operator.home, "gate.sock")
    config = operator.config()
    with GatedEngine(gate, world.socket, MOMENTS["workspace"]) as engine:
        command = world.command("start", "a", "--yes")
        env = {**world.environment(config, operator.home), "DOCKER_HOST": "unix://" + gate, **LATE}
        child = pexpect.spawn(command[0], command[1:], env=env, cwd=operator.workspace, encoding="utf-8", timeout=240)
        assert engine.held.wait(360), child.read()
        child.expect("creating networks")
        child.send("\x03")
        child.expect("bottle: stopped before the agent ran")
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 130, child.exitstatus
        assert_nothing_is_left(world, operator, until)


def interrupt_at_the_question(child):
    child.expect("start\\?")
    child.sendintr()
    child.expect("bottle: stopped before the agent ran")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130, (child.exitstatus, child.signalstatus)


def test_ctrl_c_at_the_question_starts_nothing(world, operator, until):
    config = operator.config()
    command = world.command("start", "a")
    child = pexpect.spawn(command[0], command[1:], env=world.environment(config, operator.home), cwd=operator.workspace, encoding="utf-8", timeout=240)
    interrupt_at_the_question(child)
    assert_nothing_is_left(world, operator, until)


@pytest.mark.parametrize("way, version", [("ctrl-c", "0.0.1"), ("term", "0.0.2")])
def test_ctrl_c_ends_an_image_build(world, operator, until, way, version):
    """The stand-in for mmdebstrap never exits by itself."""
    env = fake_packages.make(os.path.join(operator.home, "fakes"), claude="true")
    temporary = os.path.join(operator.home, "tmp")
    os.makedirs(temporary)
    begun = os.path.join(operator.home, "begun")
    fake = os.path.join(env["PATH"].split(":")[0], "mmdebstrap")
    with open(fake, "w") as file:
        file.write("#!%s\nimport os, time\nopen(%r, 'w').write(str(os.getpid()))\ntime.sleep(600)\n" % (sys.executable, begun))
    config = {"bottles": {"b": {}}, "agents": {"a": {"bottle": "b", "provider": "claude", "version": version}}}
    child = subprocess.Popen(world.command("start", "a", "--yes", "--headless", "-p", "x"), cwd=operator.workspace, stdin=subprocess.DEVNULL,
                             env={**world.environment(config, operator.home), **env, "TMPDIR": temporary}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True)
    assert until(lambda: os.path.exists(begun) and os.path.getsize(begun), 60), child.communicate()
    since = time.time()
    assert_given_up(operator, child, way, since, give_up(operator, child, way))
    assert not os.path.exists("/proc/" + open(begun).read()), "the build goes on"
    assert os.listdir(temporary) == []
    assert_nothing_is_left(world, operator, until)


@pytest.mark.parametrize("way", WAYS)
def test_ctrl_c_ends_a_launch_on_another_machine(remote, far, until, way):
    """The ssh process that carries the workspace never reads it."""
    begun, fakes = os.path.join(remote.home, "begun"), os.path.join(remote.home, "fakes")
    fake_packages.write(os.path.join(fakes, "ssh"),
                        '#!/bin/sh\ncase "$*" in *deliver*) touch %s; exec sleep 600;; esac\nexec %s/ssh "$@"\n' % (begun, far.bin))
    with open(os.path.join(remote.workspace, "big"), "wb") as file:
        file.write(os.urandom(4 << 20))  # more than what the pipe holds
    child = background(remote, far, "echo AGENT RAN", workspace="copy", env={"PATH": fakes + ":" + remote.extra_env["PATH"]})
    assert until(lambda: os.path.exists(begun), 120, 0.01), child.communicate()
    since = time.time()
    assert_given_up(remote, child, way, since, give_up(remote, child, way, remote.extra_env))
    assert until(lambda: not processes_of(remote), SOON), processes_of(remote)
    assert remote.sessions() == []
    # The far side itself removes the container in which it tried a runtime, and may take longer than the near side.
    assert until(lambda: far.left() == [], SOON), far.left()


def test_ctrl_c_at_the_second_question_starts_nothing(remote, far, until):
    """The machine differs from what bottle remembers of it, so the start begins again and asks again."""
    assert background(remote, far, "true").wait(300) == 0
    remember_another(remote)
    command = remote.world.command("start", "a", "--remote", far.target)
    child = pexpect.spawn(command[0], command[1:], env={**remote.world.environment(remote.config(), remote.home), **remote.extra_env}, cwd=remote.workspace,
                          encoding="utf-8", timeout=240)
    child.expect("start\\?")
    child.send("y\r")
    child.expect("starting again")
    interrupt_at_the_question(child)
    assert until(lambda: remote.sessions() == [] and far.left() == [], SOON), (remote.sessions(), far.left())


def test_a_launch_that_waits_for_its_values_is_stopped(remote, far, until):
    """The launcher, which releases the values, is stopped."""
    assert background(remote, far, "true").wait(300) == 0  # the machine is known now, so the next start does not wait for it
    fakes, hold = os.path.join(remote.home, "fakes"), os.path.join(remote.home, "hold")
    fake_packages.write(os.path.join(fakes, "ssh"), '#!/bin/sh\nwhile [ -e %s ]; do sleep 0.05; done\nexec %s/ssh "$@"\n' % (hold, far.bin))
    fake_packages.write(hold, "")  # nothing gets to the machine before the launcher is stopped
    child = background(remote, far, "echo AGENT RAN", env={"PATH": fakes + ":" + remote.extra_env["PATH"]})
    try:
        assert until(remote.sessions, 60), child.communicate()
        child.send_signal(signal.SIGSTOP)
        os.unlink(hold)
        since = time.time()
        said = give_up(remote, child, "stop", remote.extra_env)
        assert time.time() - since < SOON and "before its agent ran" in said, said
        assert remote.sessions() == [] and far.left() == []
    finally:
        child.send_signal(signal.SIGCONT)
    out, err = child.communicate(timeout=360)
    assert child.returncode == 143 and "AGENT RAN" not in out, (out, err)
