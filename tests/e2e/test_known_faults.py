"""Tries faults of Docker Sandboxes that were published in 2026 on `bottle`. The CVE records name the faults; each test
attacks the most similar part of bottle. CVE-2026-101998, an answer that breaks off while it is masked, needs a server
that breaks off: see AnswersTest.ThatAreCutOffContainNoValueEither."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile

import pexpect
import pytest

import world as world_module
from look import came_home, written
from operators import UID, Person


@pytest.fixture
def private(world):
    """Makes a repository of the operator that no session may see. Yields its path."""
    where = tempfile.mkdtemp(prefix="private-", dir=world.dir)
    with open(os.path.join(where, "key"), "w") as file:
        file.write("the private key\n")
    git = ["git", "-C", where, "-c", "user.name=o", "-c", "user.email=o@example.org"]
    world_module.run("git", "init", "-q", "-b", "main", where)
    world_module.run(*git, "add", "key")
    world_module.run(*git, "commit", "-qm", "Keep a key")
    yield where
    shutil.rmtree(where)


def swap(path, target):
    """Replaces the directory with a link, as an agent with `workspace: bind` on its parent can do at any time."""
    os.rename(path, path + ".moved")
    os.symlink(target, path)


@pytest.mark.parametrize("mode", ["copy", "clone", "bind"])
def test_a_workspace_that_became_a_link_is_not_sent(world, operator, private, mode):
    """CVE-2026-103916: a copy into or out of the sandbox follows a link that the sandbox put in place of the directory
    that the operator named."""
    environment = world.environment(operator.config(workspace=mode), operator.home)
    child = pexpect.spawn("nsenter", world.command("start", "a", "--headless", "-p", "cat /workspace/key; git -C /workspace show")[1:],
                          cwd=operator.workspace, env=environment, encoding="utf-8", timeout=240)
    child.expect_exact("start? [y/N]")
    assert operator.workspace in child.before, "the plan names what the operator agrees to"
    swap(operator.workspace, private)
    child.sendline("y")
    child.expect(pexpect.EOF)
    child.close()
    assert "the private key" not in child.before, child.before
    assert child.exitstatus == 125 and "leads to" in child.before, child.before


def test_work_does_not_come_home_through_a_link_that_replaced_the_workspace(world, operator, private, until):
    """CVE-2026-77179: a stored path is opened again after a directory in it was replaced with a link."""
    process = operator.background("cd /workspace && echo work > work.txt; sleep 100")
    assert until(operator.sessions, 60)
    [session] = operator.sessions()
    works = ["exec", "bottle-%s-agent" % session, "test", "-s", "/workspace/work.txt"]
    assert until(lambda: world.docker(*works, check=False).returncode == 0, 60)
    swap(operator.workspace, private)
    assert operator.bottle("stop", cwd=operator.home).returncode == 0
    out, err = process.communicate(timeout=360)
    assert not os.path.exists(os.path.join(private, ".git", "refs", "bottle")), "a ref was written into another repository"
    archive = os.path.join(world.state(operator.home), "results", session, "workspace.tar")
    assert "leads to" in err and os.path.exists(archive), (out, err)


def test_work_comes_home_to_the_directory_that_a_link_led_to(world, operator, private, until):
    """Here, the operator named the workspace by a link, and the real directory is still in its place."""
    link = operator.workspace + "-link"
    os.symlink(operator.workspace, link)
    process = operator.background("cd /workspace && echo work > work.txt; sleep 100", "-C", link)
    written(operator, until, "/workspace/work.txt")
    os.unlink(link)
    os.symlink(private, link)
    assert operator.bottle("stop").returncode == 0
    out, err = process.communicate(timeout=360)
    os.unlink(link)
    assert came_home(operator, "work.txt") == ["work\n"], (out, err)
    assert not os.path.exists(os.path.join(private, ".git", "refs", "bottle")), "a ref was written into another repository"


def test_links_that_an_agent_puts_in_a_bound_directory_are_not_followed(world, operator, private):
    """CVE-2026-103916 again: the agent changes the directory while it can write to it, and the operator continues to
    work in it."""
    session = operator.start("cd /workspace && mkdir .bottle && ln -s %s .bottle/agents && rm -rf .git && echo 'gitdir: %s/.git' > .git" % (private, private),
                             workspace="bind")
    assert session.status == 0, session.explain()
    shutil.copy(os.path.join(private, "key"), os.path.join(private, "key.md"))
    for words in (["list", "--agents"], ["check"], ["start", "a", "--dry-run"], ["start", "a", "--yes", "--headless", "-p", "cat key", "--workspace", "copy"]):
        done = operator.bottle(*words)
        said = done.stdout + done.stderr
        assert "the private key" not in said, (words, done)
        if "--headless" in words:  # nothing is started, because the link of the repository leads elsewhere, too
            assert done.returncode == 125 and "core.worktree" in done.stderr, done
        else:
            assert "leads out of" in said, (words, done)


@pytest.mark.parametrize("place", ["the cache", "a link's target", "the configuration", "the directory of ssh's sockets"])
def test_a_bound_workspace_contains_nothing_that_bottle_trusts(world, operator, place):
    """Otherwise the agent could change the policy, or hooks that bottle runs outside the bottle."""
    config = os.path.join(operator.home, ".config", "bottle")
    environment = world.environment(operator.config(), operator.home)
    workspace = operator.workspace
    if place == "the cache":
        environment["XDG_CACHE_HOME"] = os.path.join(workspace, ".cache")
    elif place == "a link's target":
        os.rename(os.path.join(config, "bottle.yaml"), os.path.join(workspace, "bottle.yaml"))
        os.symlink(os.path.join(workspace, "bottle.yaml"), os.path.join(config, "bottle.yaml"))
    elif place == "the configuration":
        workspace = os.path.join(config, "providers", "p")
        os.makedirs(workspace)
    else:
        environment["XDG_RUNTIME_DIR"] = workspace
    for mode, status in (("bind", 125), ("copy", 0)):
        done = subprocess.run(world.command("start", "a", "--dry-run", "--headless", "-p", "true", "-C", workspace, "--workspace", mode),
                              capture_output=True, text=True, cwd=operator.home, env=environment, stdin=subprocess.DEVNULL)
        assert done.returncode == status, (mode, done)
        assert ("which bottle trusts" in done.stderr) == (mode == "bind"), (mode, done.stderr)


@pytest.mark.parametrize("variable", ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "DOCKER_CONFIG"])
def test_root_ignores_configuration_that_another_user_owns(world, operator, variable):
    """CVE-2026-126329: the program runs as root with the HOME of another user, and takes its configuration and state
    from that directory."""
    mark = world.path("ran-as-root")
    theirs = Person(world, UID)
    secret = {"s": {"from": "cmd:id > %s; echo 0123456789" % mark, "hosts": ["allowed.example.org"]}}
    environment = world.environment(theirs.config(secrets=secret), theirs.home)
    subprocess.run(["chown", "-R", "%d:%d" % (UID, UID), theirs.home], check=True)
    if variable != "HOME":
        environment = {**world.environment(operator.config(), operator.home), variable: environment.get(variable, theirs.home + "/.cache")}
    start = ["start", "a", "--yes", "--headless", "-p", "true"]
    for words in (start, ["list"], ["cleanup"], ["check"], ["doctor"], ["logs"]):
        done = subprocess.run(world.command(*words), capture_output=True, text=True, cwd=operator.workspace, env=environment, stdin=subprocess.DEVNULL)
        assert done.returncode == 125 and "belongs to another user (uid %d)" % UID in done.stderr, (words, done)
    assert not os.path.exists(mark), "a command of another user's manifest ran as root"
    done = subprocess.run(world.command("__complete", "start", ""), capture_output=True, text=True, cwd=operator.workspace, env=environment)
    assert done.returncode == 0 and done.stdout == "", done
    shutil.rmtree(theirs.home)


def test_root_does_not_use_another_users_runtime_directory(world, operator):
    """`su` and `sudo -E` keep XDG_RUNTIME_DIR and TMPDIR. A user's engine would get what root's session contains."""
    theirs = tempfile.mkdtemp(prefix="run-", dir="/tmp")
    asked = []
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(theirs + "/docker.sock")
        engine.listen()
        engine.setblocking(False)
        subprocess.run(["chown", "-R", "%d:%d" % (UID, UID), theirs], check=True)
        environment = {**world.environment(operator.config(), operator.home), "XDG_RUNTIME_DIR": theirs, "TMPDIR": theirs}
        del environment["DOCKER_HOST"]
        for words in (["image", "list"], ["image", "build", "shell"], ["start", "a", "--remote", "me@127.0.0.1:1", "--headless", "-p", "true"], ["doctor"]):
            done = subprocess.run(world.command(*words), capture_output=True, text=True, cwd=operator.workspace, env=environment, stdin=subprocess.DEVNULL,
                                  timeout=180)
            with contextlib.suppress(BlockingIOError):
                asked.append((words, engine.accept()))
            assert done.returncode != 0 and asked == [], (words, done)
            assert os.listdir(theirs) == ["docker.sock"], (words, done)
    shutil.rmtree(theirs)


def test_a_credential_of_the_agent_is_not_sent_together_with_the_operators(world, operator):
    """CVE-2026-105452: the host attributes the request to the owner of the other credential, and stores what it
    contains."""
    secret = {"mine": {"from": "env:MINE", "hosts": ["inspected.example.org"], "header": "X-Service-Key: {}"}}
    session = operator.start("curl -sS -m 20 -H 'Authorization: Bearer theirs' -H 'X-Api-Key: theirs' -H 'Cookie: s=theirs' -H 'X-Note: kept' "
                             "-d 'what the agent has read' https://inspected.example.org/files",
                             secrets=secret, env={"MINE": "value-0123456789"}, egress={"allow": ["inspected.example.org"]})
    sent = world.seen("inspected.example.org", session.since)
    assert len(sent) == 1 and sent[0]["headers"].get("X-Service-Key") == "value-0123456789", session.explain()
    assert "theirs" not in json.dumps(sent[0]["headers"]) and sent[0]["headers"].get("X-Note") == "kept", sent
    reasons = [line.get("reason", "").lower() for line in session.audit() if line.get("host") == "inspected.example.org"]
    assert "removed authorization, x-api-key, cookie" in reasons, reasons  # HTTP/2 has only lower-case names
