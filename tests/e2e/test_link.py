"""Tests sessions over a link of 80 ms that loses packets (tests/world/link.py)."""

import contextlib
import os
import re
import signal
import subprocess
import threading
import time

import pexpect
import pytest

import world as world_module
from look import masters


def ping(world, far, count=10, interval=0.1):
    done = subprocess.run(["nsenter", "--net=/run/netns/" + world.host_ns, "--", "ping", "-n", "-q", "-c", str(count), "-i", str(interval), "-W", "5", far.ip],
                          capture_output=True, text=True)
    lost = int(re.search(r"(\d+)(?:\.\d+)?% packet loss", done.stdout).group(1))
    times = re.search(r"= ([\d.]+)/([\d.]+)/", done.stdout)
    return lost, float(times.group(1)) if times else None


def test_the_simulated_link_has_the_delay_it_claims(world, far):
    lost, before = ping(world, far, 3)
    assert lost == 0 and before < 20
    with far.link(delay_ms=80) as link:
        lost, fastest = ping(world, far)
        assert lost == 0 and 80 <= fastest < 100  # the fastest one, because load on this machine can only delay a packet
        link.set(delay_ms=0, loss=0.5)
        lost, _ = ping(world, far, 100, 0.01)
        assert 50 < lost < 98  # the loss of both directions together is three of four
        link.cut()
        assert ping(world, far, 2)[0] == 100
        link.set(loss=0)
        assert ping(world, far, 3)[0] == 0
    lost, after = ping(world, far, 3)
    assert lost == 0 and after < 20


@pytest.fixture
def remote(operator, far, until):
    run_dir = os.path.join(operator.home, "run")
    os.makedirs(run_dir, mode=0o700)
    operator.extra_env = {"PATH": far.bin + ":" + os.environ["PATH"] + ":/usr/sbin:/sbin", "XDG_RUNTIME_DIR": run_dir}
    yield operator
    for session in operator.sessions():
        operator.bottle("stop", session, env=operator.extra_env, timeout=120)
    until(lambda: not far.left() and not far.files(), 20)
    assert far.left() == [] and far.files() == [], "left on the far machine"


def renumber(world, old, new):
    """Changes the operator's own address, as a move to another network does. Sockets that are bound to the old address
    no longer work."""
    def ip(*args):
        world_module.run("ip", "-n", world.host_ns, *args)
    world_module.run("ip", "-n", world.host_ns, "addr", "del", old + "/24", "dev", "up0", check=False)
    ip("addr", "replace", new + "/24", "dev", "up0")
    ip("route", "replace", "default", "via", world_module.NET_IP)


def mosh_clients(world):
    found = []
    for pid in world_module.run("ip", "netns", "pids", world.host_ns).stdout.split():
        with contextlib.suppress(OSError), open("/proc/%s/comm" % pid) as file:
            if "mosh-client" in file.read():
                found.append(int(pid))
    return found


def test_no_output_of_the_agent_is_lost(world, remote, far, until):
    """The ssh process is killed, and packets vanish for 20 s while the operator moves to another network. All output
    arrives, in order, once."""
    script = "trap end=1 TERM; i=0; while [ -z \"$end\" ]; do i=$((i+1)); echo line-$i; sleep 0.1; done; echo last-$i"
    with far.link(delay_ms=80) as link:
        env = {**world.environment(remote.config(), remote.home), **remote.extra_env}
        said = world.path("said")
        child = subprocess.Popen(world.command("start", "a", "--yes", "--json", "--headless", "-p", '[ "$BOTTLE_TEST" = inside ] || exit 99\n' + script,
                                               "--remote", far.target),
                                 cwd=remote.workspace, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=open(said, "w"), text=True)
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(child.stdout))
        reader.start()

        def more():
            heard = len(lines)
            assert until(lambda: len(lines) > heard + 20, 90), open(said).read()
        try:
            assert until(lambda: "line-10\n" in lines, 120), open(said).read()
            for pid in masters(world, remote.extra_env["XDG_RUNTIME_DIR"]):
                os.kill(pid, signal.SIGKILL)
            more()
            link.cut()
            renumber(world, world_module.HOST_IP, "203.0.113.77")
            time.sleep(20)
            link.mend()
            more()
            [session] = remote.sessions()
            assert remote.bottle("stop", session, env=remote.extra_env).returncode == 0
            assert child.wait(480) == 0, open(said).read()
        finally:
            renumber(world, "203.0.113.77", world_module.HOST_IP)
            child.kill()
            child.wait()
        reader.join(120)
    count = len(lines) - 1
    assert count > 60 and "".join(lines) == "".join("line-%d\n" % i for i in range(1, count + 1)) + "last-%d\n" % count
    events = open(said).read()
    assert events.count('"link-back"') >= 2 and '"confirmed":true' in events, events


def expect_size(child, rows, columns):
    """Waits until the agent's terminal has this size, which takes a while on a busy machine."""
    child.sendline("until stty size | grep '%d[ ]%d'; do sleep 0.2; done" % (rows, columns))
    child.expect_exact("%d %d" % (rows, columns))


def test_typing_over_mosh(world, remote, far):
    """Runs the real mosh over a link that loses packets: the shell answers, the window size arrives, and the exit
    status comes back."""
    if far.run("sh", "-c", "command -v mosh-client", check=False).returncode:
        pytest.fail("mosh is not installed: scripts/setup")
    with far.link(delay_ms=80, loss=0.01):
        env = {**world.environment(remote.config(), remote.home), **remote.extra_env}
        command = world.command("start", "a", "--yes", "--remote", far.target, "--transport", "mosh", "--mosh-ports", "60100:60119")
        child = pexpect.spawn(command[0], command[1:], env=env, cwd=remote.workspace, dimensions=(33, 101), encoding="utf-8", timeout=360)
        try:
            child.expect("agent runs")
            child.expect_exact("\x1b[?1049h")  # mosh controls the screen
            child.sendline("PS1='in> '; echo mark-$((40+2))")
            child.expect("mark-42")
            [mosh] = mosh_clients(world)
            words = open("/proc/%d/cmdline" % mosh).read().split("\0")
            assert words[1] == far.ip and 60100 <= int(words[2]) <= 60119 and len(words) == 4, "an address and a port, and no key"
            expect_size(child, 33, 101)
            child.setwinsize(44, 122)
            expect_size(child, 44, 122)
            child.send("\x10\x11")
            child.expect("bottle attach (\\w+)")
            child.expect(pexpect.EOF)
            child.close()
            assert child.exitstatus == 0
            [session] = remote.sessions()
            command = world.command("attach", session, "--transport", "mosh")
            child = pexpect.spawn(command[0], command[1:], env=env, cwd=remote.workspace, dimensions=(30, 90), encoding="utf-8", timeout=360)
            child.expect_exact("\x1b[?1049h")
            child.sendline("echo again-$((1+1))")
            child.expect("again-2")
            # If mosh dies, the session continues, and the terminal uses ssh.
            for mosh in mosh_clients(world):
                os.kill(mosh, signal.SIGKILL)
            child.expect("mosh has ended")
            expect_size(child, 30, 90)
            child.sendline("echo over-$((1+2))")
            child.expect("over-3")
            child.sendline("exit 5")
            child.expect(pexpect.EOF)
            child.close()
            assert child.exitstatus == 5
        finally:
            child.close(force=True)
