"""Tests what list, logs, stop --all and the event stream print about sessions, on a real engine."""

import json
import os
import re

import pexpect

from operators import wait_for
from world import ROOT


def documented_events():
    text = open(os.path.join(ROOT, "docs", "events.md")).read()
    table = text[text.index("## Events"):text.index("## The result")]
    return {name: set(re.findall(r"`(\w+)`", row.split("|")[3])) for row in table.splitlines() if row.startswith("| `")
            for name in re.findall(r"`([\w-]+)`", row.split("|")[1])}


def test_the_event_stream_is_as_documented(operator):
    documented = documented_events()
    session = operator.start("echo to-out; echo to-err >&2; curl -sS -m 60 https://forbidden.example.net/ || true; exit 3", "--json")
    assert session.status == 3, session.explain()
    assert session.out == "to-out\n"
    lines = [json.loads(line) for line in session.err.splitlines()]  # every line is JSON, the agent's stderr included
    events, result = lines[:-1], lines[-1]
    assert all("event" in event for event in events) and "event" not in result
    names = [event["event"] for event in events]
    assert set(names) <= set(documented), set(names) - set(documented)
    for name in ("step", "running", "stderr", "denied", "collecting"):
        assert name in names, names
    assert names.index("step") < names.index("running") < names.index("stderr") < names.index("collecting")
    for event in events:
        missing = {key for key in documented[event["event"]] - {"name", "ok", "detail"} if key not in event}
        assert not missing, (event, missing)
    assert "to-err" in "".join(event["text"] for event in events if event["event"] == "stderr")
    assert any(event["event"] == "denied" and event["host"].startswith("forbidden.example.net") for event in events)
    assert result["exit"] == 3 and result["receipt"]["confirmed"] is True and result["receipt"]["left"] == []
    assert result["egress"]["denied"] and result["session"]


def test_an_error_is_one_line_of_json(operator):
    done = operator.bottle("start", "nobody", "--yes", "--headless", "-p", "x", "--json", config=operator.config())
    assert done.returncode == 125 and done.stdout == ""
    error = json.loads(done.stderr)["error"]
    assert error["code"] == "not_found" and "nobody" in error["what"]


def on_a_terminal(operator, *args, **extra):
    """Returns what bottle prints on a terminal of 120 columns."""
    command = operator.world.command(*args)
    child = pexpect.spawn(command[0], command[1:], env={**operator.world.environment(None, operator.home), **extra}, cwd=operator.workspace,
                          encoding="utf-8", dimensions=(50, 120), timeout=240)
    text = child.read()
    child.close()
    assert child.exitstatus == 0, text
    return text


def test_logs_are_text_on_a_terminal_and_json_elsewhere(operator):
    session = operator.start("curl -sS -m 60 https://allowed.example.org/ >/dev/null; curl -sS -m 60 https://forbidden.example.net/ || true")
    assert session.status == 0, session.explain()
    everything = operator.bottle("logs", "--egress").stdout.splitlines()
    assert all(json.loads(line)["action"] for line in everything)
    denied = [json.loads(line) for line in operator.bottle("logs", "--egress", "--denied").stdout.splitlines()]
    assert denied and all(entry["action"] == "deny" for entry in denied) and len(denied) < len(everything)
    assert json.loads(operator.bottle("logs").stdout)["exit"] == 0
    table = on_a_terminal(operator, "logs", "--egress", "--denied")
    assert re.search(r"\d\d:\d\d:\d\d  deny   connect  forbidden\.example\.net:443 +.*not_allowed", table), table
    assert "{" not in table
    summary = on_a_terminal(operator, "logs")
    assert "ended with status 0" in summary and "forbidden.example.net" in summary and "confirmed that everything of the session is gone" in summary
    assert json.loads(on_a_terminal(operator, "logs", "--json"))["exit"] == 0


def test_a_running_session_is_listed_followed_and_stopped(operator, until):
    operator.bottle("init", "--print")
    child = operator.background("curl -sS -m 60 https://forbidden.example.net/; sleep 100")
    try:
        def running():
            return [s for s in json.loads(operator.bottle("list", "--json").stdout) if s["state"] == "running"]
        assert until(running, 60)
        info = running()[0]
        assert info["agent"] == "a" and info["machine"] == "local" and info["started"] > 0
        lines = operator.bottle("list").stdout.splitlines()
        assert lines[0].split() == ["SESSION", "STATE", "AGE", "AGENT", "MACHINE", "WORKSPACE"]
        assert lines[1].split()[0:2] == [info["session"], "running"]
        command = operator.world.command("logs", "--egress", "--follow", "--denied")
        follow = pexpect.spawn(command[0], command[1:], env=operator.world.environment(None, operator.home), encoding="utf-8", timeout=240)
        follow.expect("forbidden.example.net:443")
        stopped = operator.bottle("stop", "--all")
        assert stopped.returncode == 0, stopped.stderr
        assert info["session"] in stopped.stdout
        follow.expect(pexpect.EOF)
        assert json.loads(operator.bottle("list", "--json").stdout) == []
        assert operator.bottle("stop", "--all").returncode == 0  # having nothing to stop is not a failure
    finally:
        operator.bottle("stop", "--all")
        child.wait(360)


def test_agents_are_listed(operator):
    done = operator.bottle("list", "--agents", "--json", config=operator.config())
    assert done.returncode == 0, done.stderr
    agent = {"agent": "a", "bottle": "b", "provider": "shell", "description": "", "from_repository": False}
    assert agent in json.loads(done.stdout)
    assert operator.bottle("list", "--agents").stdout.splitlines()[0].split() == ["AGENT", "BOTTLE", "PROVIDER", "DESCRIPTION"]


def test_no_color_and_dumb_terminals_turn_colors_off(operator):
    operator.bottle("list", config=operator.config())
    for extra in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in on_a_terminal(operator, "help", **extra)
    assert "\x1b[1m" in on_a_terminal(operator, "help")


def test_the_state_of_another_machine_is_left_alone(world, operator):
    """With a home on a server, the owners of another machine's sessions look dead."""
    launcher = operator.background("sleep 1000", "--name", "elsewhere", workspace="none")
    path = os.path.join(world.state(operator.home), "machine")
    try:
        assert wait_for(lambda: "bottle-elsewhere-agent" in " ".join(world.left()), 120), "the session does not start"
        with open(path) as file:
            own = file.read()
        lines = own.splitlines()
        lines[1:3] = ["0" * len(lines[1]), "other"]
        with open(path, "w") as file:
            file.write("\n".join(lines) + "\n")
        for command in (["cleanup"], ["cleanup", "--unrecorded", "--yes"], ["list"], ["stop", "--all"]):
            done = operator.bottle(*command)
            assert done.returncode == 125 and "belongs to another machine (other)" in done.stderr, (command, done)
        assert launcher.poll() is None and operator.sessions() == ["elsewhere"]
        with open(path, "w") as file:
            file.write(own)
    finally:
        operator.bottle("stop", "--all")
        launcher.communicate(timeout=120)
    assert world.left() == []
