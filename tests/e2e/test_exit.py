"""Tests exit statuses: the agent's own, or 125 if bottle fails. A start that fails must leave nothing."""

import json
import os
import subprocess

import pytest


@pytest.mark.parametrize("script, status", [("true", 0), ("exit 7", 7), ("kill -TERM $$", 128 + 15), ("kill -KILL $$", 128 + 9)])
def test_bottle_exits_with_the_agents_status(operator, runtime, script, status):
    session = operator.start(script, runtime=runtime)
    assert session.status == status, session.explain()


def test_output_goes_to_the_right_streams(operator, runtime):
    session = operator.start("echo to-out; echo to-err >&2", runtime=runtime)
    assert session.status == 0, session.explain()
    assert "to-out" in session.out and "to-err" not in session.out
    assert "to-err" in session.err


def test_messages_go_to_no_other_file_if_stderr_is_closed(world, operator):
    command = world.command("start", "a", "--yes", "--headless", "-p", "echo to-out; exit 7")
    done = subprocess.run(["sh", "-c", 'exec "$@" <&- 2>&-', "sh", *command], cwd=operator.workspace, timeout=180,
                          stdout=subprocess.PIPE, text=True, env=world.environment(operator.config(), operator.home))
    assert (done.returncode, done.stdout) == (7, "to-out\n")
    assert operator.sessions() == [] and world.left() == []


def test_a_large_output_arrives_whole(operator, runtime):
    session = operator.start("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo end", runtime=runtime)
    assert session.status == 0, session.explain()
    assert len(session.out) == 3000005 and session.out.endswith("\nend\n")


def test_a_prompt_keeps_its_newlines_quotes_and_size(operator):
    big = "# " + "x" * 1000 + "\n"
    session = operator.start(big * 100 + "printf '%s\\n' \"it's \\\"quoted\\\"\"; echo second; cat <<'E'\n$HOME `id`\nE\n")
    assert session.status == 0, session.explain()
    assert session.out == "it's \"quoted\"\nsecond\n$HOME `id`\n"


@pytest.mark.parametrize("arguments, config, says", [
    (["start", "nobody", "--yes", "--headless", "-p", "x"], None, "nobody"),
    (["start", "a", "--yes", "--headless", "-p", "x", "--image", "no/such:image"], None, "no/such:image"),
    (["start", "a", "--yes", "--headless", "-p", "x", "--runtime", "no-such-runtime"], None, "no-such-runtime"),
    (["start", "a", "--yes", "--headless", "-p", "x"], {"bottles": {"b": {"egres": {}}}}, "egress"),
    (["start", "a", "--yes", "--headless", "-p", "x"],
     {"bottles": {"b": {"env": {"X": "${SURELY_NOT_SET}"}}}, "agents": {"a": {"bottle": "b", "provider": "shell"}}}, "SURELY_NOT_SET"),
    (["start", "a", "--yes", "--headless", "-p", "x", "--ttl", "1h"], None, "--vm"),
    (["start", "a", "--yes", "--headless", "-p", "x", "--keep"], None, "--vm"),
    (["start", "a", "--yes", "--headless", "-p", "x", "--allow-vpn"], None, "--remote"),
    (["start", "a", "--yes", "--headless", "-p", "x", "--vm", "lab", "--remote", "a@b"], None, "cannot be combined"),
    (["no-such-command"], None, ""),
])
def test_failures_of_bottle_exit_with_125_and_leave_nothing(world, operator, arguments, config, says):
    done = operator.bottle(*arguments, config=config or operator.config())
    assert done.returncode == 125, done
    assert says in done.stderr
    assert operator.sessions() == [] and world.left() == []


def test_no_engine_is_a_clear_error(operator):
    done = operator.bottle("start", "a", "--yes", "--headless", "-p", "x", config=operator.config(),
                           env={"DOCKER_HOST": "unix:///nonexistent/docker.sock"})
    assert done.returncode == 125
    assert "/nonexistent/docker.sock" in done.stderr


def test_a_dry_run_makes_nothing(world, operator):
    done = operator.bottle("start", "a", "--dry-run", "--json", "--headless", "-p", "x", config=operator.config())
    assert done.returncode == 0, done
    plan = json.loads(done.stdout)
    assert world.token not in done.stdout
    assert plan["agent"] == "a" and plan["bottle"] == "b"
    assert operator.sessions() == [] and world.left() == []


def test_without_yes_a_no_starts_nothing(world, operator):
    done = operator.bottle("start", "a", "--headless", "-p", "x", config=operator.config(), input="n\n")
    assert done.returncode == 125
    assert operator.sessions() == [] and world.left() == []
    assert not os.path.isdir(os.path.join(world.state(operator.home), "results")) or not os.listdir(
        os.path.join(world.state(operator.home), "results"))
