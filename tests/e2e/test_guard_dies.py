"""The guard dies while an agent works. The agent loses its network and can see why, the operator learns the cause, and
a new guard with the same policy starts, which the running agent trusts."""

import os
import signal
import time

import pytest

from far import Lines
from look import make_file, supervisors_of
from watched import guard_of, kill_guard, wait_for_mark


class Agent:
    """A session in the background, whose agent waits for files that the test creates."""

    def __init__(self, world, until, process):
        self.world, self.until, self.process = world, until, process
        self.out, self.err = Lines(process), Lines(process, process.stderr)
        assert until(lambda: self.err.said("the agent runs"), 60), self.err.lines

    def container(self):
        [agent] = [c["Id"] for c in self.world.engine("GET", "/containers/json") if c["Labels"].get("bottle.role") == "agent"]
        return agent

    def mark(self, name):
        make_file(self.world, self.container(), "/tmp/" + name)

    def has_marked(self, name):
        return self.world.docker("exec", self.container(), "test", "-e", "/tmp/" + name, check=False).returncode == 0

    def lose_guard(self):
        """Kills the guard and waits until there is another."""
        kill_guard(self.world, guard_of(self.world))
        self.is_back()

    def is_back(self):
        assert self.until(lambda: self.err.said("the guard is back"), 60), self.err.lines

    def end(self):
        """Waits for the end of the session. Returns its output and its errors."""
        self.process.wait(480)
        for stream in (self.out, self.err):
            stream.thread.join()
        return "\n".join(self.out.lines), "\n".join(self.err.lines)


@pytest.fixture
def play(world):
    yield world.play
    world.play(world.script)


@pytest.mark.parametrize("inspect", [False, True])
def test_a_dead_guard_is_restarted_and_the_agent_trusts_it(world, operator, until, runtime, inspect):
    agent = Agent(world, until, operator.background(wait_for_mark("go") + "curl -sS -m 20 https://allowed.example.org/after; true", runtime=runtime,
                                                    egress={"allow": [{"host": "allowed.example.org", "inspect": inspect}]}))
    agent.lose_guard()
    agent.mark("go")
    out, err = agent.end()
    assert "the guard was killed by signal 9" in err, err
    assert "hello from allowed.example.org" in out, (out, err)


@pytest.mark.xdist_group("claude")
def test_claude_keeps_working_through_an_inspected_host(world, operator, until, play):
    play({"steps": [{"say": ".", "tool": "Bash", "input": {"command": '[ "$BOTTLE_TEST" = inside ] || exit 99; echo before; touch /tmp/begun; ' + wait_for_mark("go"), "description": "a test"}},
                    {"say": ".", "tool": "Bash", "input": {"command": '[ "$BOTTLE_TEST" = inside ] || exit 99; curl -sS -m 20 https://inspected.example.org/after',
                                                           "description": "a test"}}], "final": "went on"})
    since = time.time()
    agent = Agent(world, until, operator.background("go", provider="claude", egress={"allow": [{"host": "inspected.example.org", "inspect": True}]}))
    assert until(lambda: agent.has_marked("begun"), 120), "Claude ran nothing"
    agent.lose_guard()
    agent.mark("go")
    out, err = agent.end()
    assert agent.process.returncode == 0, (out, err)
    assert "went on" in out, (out, err)
    results = "\n".join(text for e in world.api_log(since) if e["event"] == "answer" for text in e["results_text"])
    assert "before" in results and "hello from inspected.example.org" in results, results


def test_the_agent_sees_why_a_request_failed(world, operator, until, runtime):
    changes = ('while [ ! -e /tmp/go ]; do now=$(head -n 1 /run/bottle/guard); [ "$now" = "$last" ] || { echo "$now"; touch /tmp/$now; }; last=$now; '
               'sleep 0.1; done; ')
    agent = Agent(world, until, operator.background(changes + "cat /run/bottle/guard", runtime=runtime))
    assert until(lambda: agent.out.count("up"), 60), agent.out.lines
    [supervisor] = supervisors_of(operator)
    os.kill(supervisor, signal.SIGSTOP)  # it starts the next guard, perhaps before the agent looks again
    try:
        kill_guard(world, guard_of(world))
        assert until(lambda: agent.has_marked("down"), 60), agent.out.lines
    finally:
        os.kill(supervisor, signal.SIGCONT)
    agent.is_back()
    assert until(lambda: agent.out.count("up") == 2, 60), agent.out.lines
    agent.mark("go")
    out, err = agent.end()
    lines = out.splitlines()
    assert lines[:3] == ["up", "down", "up"], (out, err)
    assert "The guard was down from" in lines[-1], (out, err)


# Unfinished heads, which the guard must hold: 64 KB each.
GREEDY = r"""
cat > /tmp/greedy.py <<'EOF'
import os, socket, time
guard = os.environ["https_proxy"][7:].split(":")
held = []
try:
    for _ in range(600):
        s = socket.create_connection((guard[0], int(guard[1])), 120)
        s.sendall(b"GET http://allowed.example.org/ HTTP/1.1\r\nA: " + b"a" * 60000)
        held.append(s)
except OSError as e:
    print("the guard went:", e)
time.sleep(2)
EOF
""" + wait_for_mark("little") + "python3 /tmp/greedy.py; " + wait_for_mark("go") + "curl -sS -m 20 https://allowed.example.org/after; true"


def test_a_guard_that_ran_out_of_memory_is_reported(world, operator, until):
    agent = Agent(world, until, operator.background(GREEDY))
    guard = guard_of(world)
    state = "/containers/%s/json" % guard
    begun = world.engine("GET", state)["State"]["StartedAt"]
    world.docker("update", "--memory", "12m", "--memory-swap", "12m", guard)
    agent.mark("little")
    # No guard can serve for long with so little memory, so it gets its share back after it has died.
    died = until(lambda: (now := world.engine("GET", state)["State"])["StartedAt"] != begun or not now["Running"], 40, 0.02)
    assert until(lambda: world.docker("update", "--memory", "256m", "--memory-swap", "512m", guard, check=False).returncode == 0, 20)
    agent.is_back()
    agent.mark("go")
    out, err = agent.end()
    assert died, (out, err)
    # The engine reports the cause unless it learned of it after the exit.
    assert "the guard ran out of memory" in err or "the guard was killed by signal 9, perhaps because it ran out of memory" in err, (out, err)
    assert "hello from allowed.example.org" in out, (out, err)
