"""bottle doctor, init and check, against a real engine and real files."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile

import pexpect
import pytest


def doctor(operator, **kwargs):
    done = operator.bottle("doctor", "--json", **kwargs)
    return done, {(f["code"], f["what"].split(" ")[1] if f["code"] == "runtime" else ""): f for f in json.loads(done.stdout)["findings"]}


def write_program(path, script):
    with open(path, "w") as file:
        file.write("#!/bin/sh\n" + script + "\n")
    os.chmod(path, 0o755)


def test_a_working_machine_passes_and_nothing_is_left(world, operator):
    done, found = doctor(operator, config=operator.config())
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["ok"] is True
    assert world.socket in found["engine", ""]["what"]
    for runtime in ("runc", "runsc"):
        assert found["runtime", runtime]["severity"] == "ok", found["runtime", runtime]
    assert found["guard_image", ""]["severity"] == "ok"
    assert found["token", ""]["severity"] == "ok"
    assert world.token not in done.stdout + done.stderr
    assert world.left() == []


def test_without_an_engine_doctor_says_what_to_do(operator):
    done, found = doctor(operator, config=operator.config(), env={"DOCKER_HOST": "unix:///nonexistent/docker.sock"})
    assert done.returncode == 1
    assert found["engine", ""]["severity"] == "fail" and found["engine", ""]["todo"]


def test_a_caller_may_ignore_sigchld(world, operator):
    done = subprocess.run(world.command("doctor", "--json"), text=True, capture_output=True, timeout=180, preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
                          env=world.environment(config=operator.config(), home=operator.home))
    assert done.returncode == 0, done.stdout  # for example, git was found to be missing, because its exit status was lost


def test_programs_of_the_current_directory_do_not_run(world, operator):
    """The current directory may be a repository, and an empty PATH, or an empty entry of it, means that directory."""
    mark = os.path.join(operator.home, "ran")
    for name in ("git", "man", "mmdebstrap", "npm"):
        write_program(os.path.join(operator.workspace, name), "touch " + mark)
    for path in ("", ".", ":", "./bin"):
        for words in (["doctor"], ["check"], ["start", "a", "--dry-run", "--headless", "-p", "true"]):
            subprocess.run(world.command(*words), capture_output=True, cwd=operator.workspace, stdin=subprocess.DEVNULL,
                           env={**world.environment(operator.config(), operator.home), "PATH": path}, timeout=180, executable=shutil.which("nsenter"))
            assert not os.path.exists(mark), (path, words)


def test_programs_do_not_run_in_the_current_directory(world, operator):
    programs = tempfile.mkdtemp(prefix="programs-", dir=world.dir)
    for name in ("git", "man"):
        write_program(os.path.join(programs, name), 'pwd >> "$0.ran"')
    environment = world.environment(operator.config(), operator.home)
    environment["PATH"] = programs + ":" + environment["PATH"]
    for words, name in ((["doctor"], "git"), (["man"], "man")):
        pexpect.run(shlex.join(world.command(*words)), cwd=operator.workspace, env=environment, timeout=180)
        with open(os.path.join(programs, name + ".ran")) as ran:
            assert set(ran.read().split()) == {os.path.realpath(operator.home)}, words
    shutil.rmtree(programs)


def test_a_broken_manifest_is_reported_with_line_and_column(operator):
    done, found = doctor(operator, config={"bottles": {"b": {"egres": {}}}})
    assert done.returncode == 1
    assert "bottle.yaml:1:" in found["manifest", ""]["what"]


def test_output_for_a_terminal_is_plain_lines(operator):
    done = operator.bottle("doctor", config=operator.config())
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("ok    engine ") and "\033" not in done.stdout


def test_init_writes_a_valid_manifest_and_never_overwrites_one(operator):
    path = os.path.join(operator.home, ".config", "bottle", "bottle.yaml")
    done = operator.bottle("init")
    assert done.returncode == 0, done.stderr
    text = open(path).read()
    assert "bottles:" in text and "#" in text
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert operator.bottle("check").returncode == 0
    again = operator.bottle("init")
    assert again.returncode == 125 and path in again.stderr
    assert open(path).read() == text
    plan = operator.bottle("start", "claude", "--dry-run", "--json", "--headless", "-p", "x")
    assert plan.returncode == 0, plan.stderr


@pytest.mark.parametrize("name, text, line, column, says", [
    ("bad.yaml", "bottles:\n  web:\n    egres: {}\n", 3, 5, "egres"),
    ("bad.yaml", "bottles: {a: {extends: [b]}}\n", 1, 25, "no bottle 'b'"),
    ("bad.yaml", "bottles: [\n", 2, 1, ""),
    ("agent.md", "---\nbottle: nowhere\n---\nx\n", 2, 9, "nowhere"),
    ("claude-bottle.json", '{"bottles": {"a": {"environ": {}}}}', 1, 20, "environ"),
])
def test_check_names_the_place_of_a_mistake(operator, name, text, line, column, says):
    path = os.path.join(operator.workspace, name)
    with open(path, "w") as file:
        file.write(text)
    done = operator.bottle("check", path, "--json", config=operator.config())
    assert done.returncode == 1, done
    error = json.loads(done.stdout)["errors"][0]
    assert (error["file"], error["line"], error["column"]) == (path, line, column), error
    assert says in error["what"]
    plain = operator.bottle("check", path)
    assert plain.returncode == 1 and "%s:%d:%d: " % (path, line, column) in plain.stderr


def test_check_says_what_a_start_would_need(operator):
    config = operator.config(env={"X": "${SURELY_NOT_SET}"})
    done = operator.bottle("check", "--json", config=config)
    assert done.returncode == 0, done
    told = json.loads(done.stdout)
    assert told["ok"] and any("SURELY_NOT_SET" in warning["what"] and warning["agent"] == "a" for warning in told["warnings"]), told
