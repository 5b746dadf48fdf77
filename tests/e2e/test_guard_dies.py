"""The guard dies while an agent works. The agent loses its network and can see why, the operator learns the cause, and
a new guard with the same policy starts, which the running agent trusts."""

import os
import signal
import time

import pytest


def guard_of(world):
    found = [c for c in world.engine("GET", "/containers/json") if c["Labels"].get("bottle.role") == "guard"]
    return found[0]["Id"] if found else None


def agent_runs(world):
    return any(c["Labels"].get("bottle.role") == "agent" and c["State"] == "running" for c in world.engine("GET", "/containers/json"))


def kill(world, guard):
    os.kill(world.engine("GET", "/containers/%s/json" % guard)["State"]["Pid"], signal.SIGKILL)


def once_running(world, until):
    assert until(lambda: agent_runs(world), 60), "the agent never ran"
    time.sleep(2)
    return guard_of(world)


@pytest.fixture
def play(world):
    yield world.play
    world.play(world.script)


@pytest.mark.parametrize("inspect", [False, True])
def test_it_comes_back_and_the_agent_believes_it(world, operator, until, runtime, inspect):
    process = operator.background("sleep 12; curl -sS -m 20 https://allowed.example.org/after; true", runtime=runtime,
                                  egress={"allow": [{"host": "allowed.example.org", "inspect": inspect}]})
    first = once_running(world, until)
    kill(world, first)
    out, err = process.communicate(timeout=90)
    assert "the guard was killed by signal 9" in err and "the guard is back" in err, err
    assert "hello from allowed.example.org" in out, (out, err)


@pytest.mark.xdist_group("claude")
def test_claude_goes_on_through_an_inspected_host(world, operator, until, play):
    play({"steps": [{"say": ".", "tool": "Bash", "input": {"command": '[ "$BOTTLE_TEST" = inside ] || exit 99; echo before; sleep 12', "description": "a test"}},
                    {"say": ".", "tool": "Bash", "input": {"command": '[ "$BOTTLE_TEST" = inside ] || exit 99; curl -sS -m 20 https://inspected.example.org/after',
                                                           "description": "a test"}}], "final": "went on"})
    since = time.time()
    process = operator.background("go", provider="claude", egress={"allow": [{"host": "inspected.example.org", "inspect": True}]})
    once_running(world, until)
    assert until(lambda: any(e["event"] == "answer" and e["stop"] == "tool_use" for e in world.api_log(since)), 60), "Claude asked for nothing"
    time.sleep(2)
    kill(world, guard_of(world))
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, (out, err)
    assert "went on" in out and "the guard is back" in err, (out, err)
    results = "\n".join(text for e in world.api_log(since) if e["event"] == "answer" for text in e["results_text"])
    assert "before" in results and "hello from inspected.example.org" in results, results


def test_the_agent_can_see_why(world, operator, until, runtime):
    process = operator.background("for i in $(seq 150); do head -n 1 /run/bottle/guard; sleep 0.1; done | uniq; cat /run/bottle/guard", runtime=runtime)
    kill(world, once_running(world, until))
    out, err = process.communicate(timeout=90)
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
        s = socket.create_connection((guard[0], int(guard[1])), 5)
        s.sendall(b"GET http://allowed.example.org/ HTTP/1.1\r\nA: " + b"a" * 60000)
        held.append(s)
except OSError as e:
    print("the guard went:", e)
time.sleep(2)
EOF
sleep 5; python3 /tmp/greedy.py; sleep 10; curl -sS -m 20 https://allowed.example.org/after; true
"""


def test_out_of_memory_is_named(world, operator, until):
    process = operator.background(GREEDY)
    guard = once_running(world, until)
    world.docker("update", "--memory", "12m", "--memory-swap", "12m", guard)
    # No guard can serve for long with so little memory, so it gets its share back after it has died.
    died = until(lambda: not world.engine("GET", "/containers/%s/json" % guard)["State"]["Running"], 40, 0.02)
    world.docker("update", "--memory", "256m", "--memory-swap", "512m", guard, check=False)
    out, err = process.communicate(timeout=90)
    assert died and "ran out of memory" in err, (out, err)
    assert "hello from allowed.example.org" in out, (out, err)
