"""Tests sessions on a pseudo-terminal, as a person uses them."""

import os
import signal
import termios

import pexpect
import pytest

from terminals import end


@pytest.fixture
def terminal(world, operator):
    children = []

    def spawn(*args, **config):
        env = world.environment(operator.config(**config) if config or not children else None, operator.home)
        command = world.command(*args)
        child = pexpect.spawn(command[0], command[1:], env=env, cwd=operator.workspace, dimensions=(33, 101), encoding="utf-8", timeout=240)
        children.append(child)
        return child
    yield spawn
    for child in children:
        end(child)


def ready(child):
    child.expect("agent runs")
    child.sendline("PS1='in> '; echo mark-$((40+2))")
    child.expect("mark-42")


def test_a_shell_on_a_terminal(terminal, runtime):
    child = terminal("start", "a", "--yes", runtime=runtime)
    ready(child)
    child.sendline("stty size")
    child.expect("33 101")
    child.setwinsize(44, 122)
    child.sendline("until stty size | grep '^44 122$'; do sleep 0.2; done")
    child.expect(r"[\r\n]44 122")
    # The key may come only once the program is in the foreground. While the shell starts it, gVisor's terminal may give
    # the shell an end of its input instead.
    child.sendline("sh -c 'echo asleep-$((1+1)); exec sleep 50'")
    child.expect("asleep-2")
    child.sendintr()
    child.expect("in> ")  # the signal flushes input that has not been echoed
    child.sendline("echo after-$((1+1))")
    child.expect("after-2")
    child.sendline("exit 5")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 5


def test_a_terminal_at_a_headless_session(terminal, operator, until):
    """It shows plain lines, its detach key works, and Ctrl-C ends the session as in `bottle start`."""
    launcher = operator.background("while sleep 0.2; do echo one; echo two; done")
    try:
        assert until(lambda: operator.sessions() and launcher.stdout.readline() == "one\n", 120)
        child = terminal("attach")
        child.expect("one\r\ntwo\r\n")
        child.send("\x10\x11")
        child.expect("bottle attach")
        child.expect(pexpect.EOF)
        child = terminal("attach")
        child.expect("one\r\ntwo\r\n")
        child.sendintr()
        child.expect(pexpect.EOF)
        assert until(lambda: operator.sessions() == [], 60), operator.sessions()
    finally:
        launcher.kill()
        launcher.communicate()
        operator.bottle("stop", *operator.sessions(), timeout=120)


def test_an_agent_whose_name_begins_with_a_digit_is_chosen_by_its_name(world, operator):
    """The agents get the numbers 1 to 3, in this order."""
    config = {"bottles": {"b": {"workspace": "copy"}}, "agents": {name: {"bottle": "b", "provider": "shell"} for name in ("2fa", "3", "aaa")}}
    command = world.command("start", "--dry-run")
    for answer, expected in (("2fa", "agent +2fa"), ("3", "agent +3"), ("2", "agent +3"), ("1", "agent +2fa"), ("4x", "there is no agent '4x'")):
        child = pexpect.spawn(command[0], command[1:], env=world.environment(config, operator.home), cwd=operator.workspace, encoding="utf-8", timeout=60)
        child.expect("number or name")
        child.sendline(answer)
        child.expect(expected)
        child.expect(pexpect.EOF)
        child.close()


def test_detach_and_attach(terminal, operator):
    child = terminal("start", "a", "--yes", runtime="runc")
    before = termios.tcgetattr(child.child_fd)
    ready(child)
    child.sendline("X=kept")
    child.send("\x10\x11")  # Ctrl-P Ctrl-Q
    child.expect("bottle attach (\\w+)\\W")
    session = child.match.group(1)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert operator.sessions() == [session]
    assert before
    child = terminal("attach", session)
    child.sendline("echo again-$X")
    child.expect("again-kept")
    child.sendline("exit 0")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0 and operator.sessions() == []


def test_the_terminal_is_restored(world, operator):
    """The shell around bottle shows that echo and line mode are restored, even after the program was killed."""
    env = world.environment(operator.config(), operator.home)
    shell = pexpect.spawn("bash", ["--norc"], env=env, cwd=operator.workspace, encoding="utf-8", timeout=240)
    shell.sendline("PS1=shell-$((1+0))'> '")
    shell.expect("shell-1> ")
    shell.sendline("stty -a | md5sum")
    shell.expect("([0-9a-f]{32})")
    before = shell.match.group(1)
    shell.expect("shell-1> ")
    shell.sendline(" ".join("'%s'" % a for a in world.command("start", "a", "--yes")))
    shell.expect("agent runs")
    shell.sendline("kill -9 $$")
    shell.sendline("")
    shell.expect("confirmed that the agent's container|not removed")
    shell.expect("shell-1> ")  # until then, the launcher may take what is typed
    shell.sendline("stty -a | md5sum")
    shell.expect("([0-9a-f]{32})")
    assert shell.match.group(1) == before
    end(shell)


def test_a_suspended_launcher_loses_no_output(world, operator, until):
    launcher = operator.background("seq -f 'line %07g' 250000; exit 7")
    try:
        assert until(operator.sessions, 60)
        session = operator.sessions()[0]
        os.kill(launcher.pid, signal.SIGSTOP)  # Ctrl-Z in the shell, a pager, a laptop that sleeps
        result = os.path.join(world.state(operator.home), "results", session, "result.json")
        assert until(lambda: os.path.exists(result) and not operator.sessions(), 90), "the session waits for its launcher"
    finally:
        os.kill(launcher.pid, signal.SIGCONT)
    out, err = launcher.communicate(timeout=360)
    assert launcher.returncode == 7, err
    assert out == "".join("line %07d\n" % n for n in range(1, 250001)), err
