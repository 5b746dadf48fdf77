"""Tests faults around a bottle on another machine: each causes a clear error, leaves nothing on either side, and loses
nothing."""

import contextlib
import fcntl
import glob
import json
import os
import subprocess
import time

import pytest

from far import background, remember_another, remembered, restart_sshd, running, start, supervisor_of, worktree
from far import inside as in_container
from look import kill, standing
from printed import sudo_is_asked


def inside(far, script):
    """Runs a command as root in the far machine's mount namespace."""
    done = subprocess.run(["nsenter", "--mount", "--target", str(far.sshd.pid), "--", "sh", "-ec", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def unmounted(far, until, where):
    """Unmounts a file system that a process of the last session may still use for a moment."""
    assert until(lambda: subprocess.run(["nsenter", "--mount", "--target", str(far.sshd.pid), "--", "umount", where], capture_output=True).returncode == 0, 30), where


def received(far):
    """Returns the bytes that came over the far machine's link."""
    done = far.run("ip", "-n", far.ns, "-j", "-s", "link", "show", "up0")
    return json.loads(done.stdout)[0]["stats64"]["rx"]["bytes"]


def test_a_changed_machine_is_examined_again(remote, far, until):
    assert start(remote, far, "true").status == 0
    remember_another(remote)
    # The second start still has the operator's variables, although ssh does not get those with secrets.
    secret = {"mine": {"from": "env:MINE", "hosts": ["allowed.example.org"]}}
    session = start(remote, far, "id -u", secrets=secret, env={"MINE": "a-value-of-the-operators"})
    assert session.status == 0 and session.out.strip() == str(os.stat(far.home).st_uid), session.explain()
    assert "has changed since the last time" in session.err, session.explain()
    # The remembered description is an ordinary file. Nonsense in it has no effect.
    for text in ('{"learned_ms":1,"hello":{"uid":"x","images":7}}', "[" * 1000):
        open(remembered(remote), "w").write(text)
        session = start(remote, far, "echo fine")
        assert session.status == 0 and session.out == "fine\n", session.explain()


def test_a_machine_that_refuses_its_state_directory_says_why(remote, far, until):
    """With a home on a server, the state directory belongs to the machine that used it first. Here, the machine gets
    another name while an agent runs."""
    path = far.home + "/.local/state/bottle/machine"
    session = background(remote, far, "echo one >made; touch /tmp/worked; sleep 1000", "--name", "renamed", workspace="copy")
    try:
        running(remote, until)
        assert until(lambda: in_container(remote, far, "test", "-e", "/tmp/worked"), 60)
        supervisor = supervisor_of(remote)[1]
        with open(path) as file:
            own = file.read()
        lines = own.splitlines()
        with open(path, "w") as file:
            file.write("\n".join([lines[0], "0" * len(lines[1]), "other"]) + "\n")
        reason = "the state directory %s belongs to another machine (other)" % os.path.dirname(path)
        for _ in range(2):  # the second start does not know how the machine described itself
            refused = start(remote, far, "true", "--name", "next")
            assert refused.status == 125 and reason in refused.err and "remove all lines but the first from " + path in refused.err, refused.explain()
            for known in glob.glob(os.path.join(remote.home, ".cache", "bottle", "machines", "*")):
                os.unlink(known)
        done = remote.bottle("remote", "check", far.target, env=remote.extra_env)
        assert done.returncode == 125 and reason in done.stderr, done
        kill([supervisor])
        done = remote.bottle("cleanup", env=remote.extra_env)
        assert done.returncode == 125 and reason in done.stdout + done.stderr, done
        with open(path, "w") as file:
            file.write(own)
        done = remote.bottle("cleanup", env=remote.extra_env)
        assert done.returncode == 0 and worktree(remote, "made") == "one\n" and remote.sessions() == [], done
    finally:
        with open(path, "w") as file:
            file.write(own)
        session.kill()
        session.communicate()


def test_files_that_the_machine_has_are_not_sent_again(remote, far):
    with open(os.path.join(remote.workspace, "large"), "wb") as file:
        file.write(os.urandom(20 << 20))
    remote.git("add", "-A")
    remote.git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "large")
    sent = []
    for kept in glob.glob(far.home + "/.cache/bottle/sent/*"):
        os.unlink(kept)
    for text in ("first", "second", "third"):
        with open(os.path.join(remote.workspace, "notes.txt"), "w") as file:
            file.write(text + "\n")
        before = received(far)
        session = start(remote, far, "cat notes.txt; sha256sum <large", workspace="copy")
        sent.append(received(far) - before)
        want = far.run("sha256sum", os.path.join(remote.workspace, "large")).stdout.split()[0]
        assert session.out.split() == [text, want, "-"], session.explain()
        if text == "second":  # the kept deliveries are lost, or another session's, so everything is sent without an error
            [kept] = glob.glob(far.home + "/.cache/bottle/sent/*")
            with open(kept, "r+b") as file:
                file.seek(4 << 20)
                file.write(b"x" * 100)
    assert sent[0] > 20 << 20 and sent[1] < 1 << 20 and sent[2] > 20 << 20, sent
    with open(kept, "rb") as file:
        assert b"third" not in file.read(), "the far machine can read it"


def test_only_missing_image_layers_are_sent(remote, far):
    assert start(remote, far, "true").status == 0  # its engine has the shell's image
    world = remote.world
    [base] = [tag for image in world.engine("GET", "/images/json") for tag in image["RepoTags"] or [] if tag.startswith("bottle-agent-shell:")]
    context = os.path.join(remote.home, "context")
    os.makedirs(context)
    with open(os.path.join(context, "more"), "wb") as file:
        file.write(os.urandom(1 << 20))
    with open(os.path.join(context, "Dockerfile"), "w") as file:
        file.write("FROM %s\nCOPY more /more\n" % base)
    name = "operators-own:1"

    def build():
        world.docker("build", "-q", "-t", name, context, env={**os.environ, "DOCKER_BUILDKIT": "0"})

    build()
    before = received(far)
    session = start(remote, far, "wc -c </more", "--image", name)
    assert session.status == 0 and session.out.strip() == str(1 << 20), session.explain()
    assert 1 << 20 < received(far) - before < 3 << 20, received(far) - before
    again = start(remote, far, "wc -c </more", "--image", name)
    assert again.status == 0 and "sending the image" not in again.err and "has changed since" not in again.err, again.explain()
    # An image of the same name with other content is not mistaken for the right one.
    with open(os.path.join(context, "more"), "w") as file:
        file.write("newer")
    build()
    newer = start(remote, far, "cat /more", "--image", name)
    assert newer.status == 0 and newer.out == "newer", newer.explain()


def build(world, context, name, text):
    """Builds an image on the operator's engine from that text of a Dockerfile. Returns its id."""
    os.makedirs(context, exist_ok=True)
    with open(os.path.join(context, "Dockerfile"), "w") as file:
        file.write(text)
    return world.docker("build", "-q", "-t", name, context, env={**os.environ, "DOCKER_BUILDKIT": "0"}).stdout.strip()


def test_an_image_is_known_again_by_any_name(remote, far):
    world = remote.world
    image = build(world, os.path.join(remote.home, "any-name"), "any-name:1", "FROM %s\nRUN echo own >/own\n" % world.load_small_image())
    world.docker("tag", image, "only-here:1")
    world.docker("rmi", "any-name:1")
    # An archive has the tags of an image, but not its id, so the other engine has no name for it.
    for name in (image, image[7:19], "docker.io/library/only-here:1"):
        first = start(remote, far, "cat /own", "--image", name)
        assert first.status == 0 and first.out == "own\n", first.explain()
        again = start(remote, far, "cat /own", "--image", name)
        assert again.status == 0 and again.out == "own\n", again.explain()
        assert "sending the image" not in again.err and "has changed since" not in again.err, again.explain()


def test_an_image_that_was_built_again_is_sent(remote, far, request):
    world, context = remote.world, os.path.join(remote.home, "again")
    base = world.load_small_image()
    os.makedirs(context)
    path = os.path.join(context, "agent.Dockerfile")
    with open(path, "w") as file:
        file.write("FROM %s\nRUN echo old >/made\n" % base)
    config = {"provider": "shell", "dockerfile": path}
    first = start(remote, far, "cat /made", **config)
    assert first.status == 0 and first.out == "old\n", first.explain()

    def ours(engine):
        return {tag: image["Id"] for image in engine("GET", "/images/json") for tag in image["RepoTags"] or [] if tag.startswith("bottle-agent-dockerfile")}

    [name] = [tag for tag in ours(world.engine) if tag in first.err]
    request.addfinalizer(lambda: world.docker("rmi", name))
    old = ours(far.engine)[name]
    new = build(world, context, name, "FROM %s\nRUN echo new >/made\n" % base)
    second = start(remote, far, "cat /made", **config)
    assert second.status == 0 and second.out == "new\n" and "sending the image" in second.err, second.explain()
    assert ours(far.engine)[name] == new
    assert old not in [image["Id"] for image in far.engine("GET", "/images/json")], "it takes room on the far machine"
    third = start(remote, far, "cat /made", **config)
    assert third.status == 0 and third.out == "new\n" and "sending the image" not in third.err, third.explain()


def killed_at(remote, far, until, record, command):
    """Runs an agent, and sends SIGKILL to the far supervisor after this record of its ledger. Returns the launcher's
    status and output."""
    restart_sshd(far, SetEnv="BOTTLE_TEST_STOP_AT_RECORD=%d" % record)
    try:
        child = background(remote, far, command)
        assert until(lambda: standing(far.pids()) or child.poll() is not None, 120, 0.02) and child.poll() is None
        if record == 8:  # the agent has only just begun
            assert until(lambda: in_container(remote, far, "test", "-e", "/tmp/worked"), 60)
        kill(standing(far.pids()))
        out, err = child.communicate(timeout=360)
    finally:
        kill(standing(far.pids()))
        child.kill()
        child.communicate()
        restart_sshd(far)
    return child.returncode, out, err


@pytest.mark.parametrize("record", range(1, 11))
def test_the_far_supervisor_dies_at_every_record(remote, far, until, record):
    """The records are owner, engine, make, creates, work, running and so on. The agent's work comes home."""
    status, out, err = killed_at(remote, far, until, record, "echo precious >precious; touch /tmp/worked; echo made; sleep 3")
    if record < 7:
        assert status == 125 and "before the agent ran" in err and out == "", (status, out, err)
    elif record < 9:  # no process is left that knows whether the gate was opened
        assert status == 125 and "the session's supervisor died" in err and out in ("", "made\n"), (status, out, err)
    if record > 7:
        assert worktree(remote, "precious") == "precious\n", err
    done = remote.bottle("cleanup", env=remote.extra_env, timeout=360)
    assert done.returncode == 0, done.stderr
    start(remote, far, "true")  # the next start sweeps what a dead supervisor left


def test_an_agent_without_a_supervisor_is_stopped_before_its_work_is_fetched(remote, far, until):
    """What it writes when it is told to end comes home, too."""
    status, _, err = killed_at(remote, far, until, 8, "trap 'echo last >last; exit' TERM; touch /tmp/worked; sleep 600 & wait")
    assert status == 125 and "the session's supervisor died" in err, err
    assert worktree(remote, "last") == "last\n", err
    start(remote, far, "true")  # sweeps what the dead supervisor left


def test_a_start_does_not_wait_until_other_sessions_are_swept(remote, far, until):
    """Their work may have gigabytes. Here, their ledgers are locked, and a sweep waits a minute for each."""
    owner, ledgers = os.stat(far.home), []
    for name in ("dead-1", "dead-2", "dead-3"):
        directory = os.path.join(far.home, ".local", "state", "bottle", "sessions", name)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        ledgers.append(os.path.join(directory, "ledger"))
        with open(ledgers[-1], "w") as file:
            file.write(json.dumps({"owner": "%d:1:1:another-boot" % owner.st_uid}) + "\n" + json.dumps({"engine": "/none"}) + "\n")
        os.chmod(ledgers[-1], 0o600)
        for path in (directory, ledgers[-1]):
            os.chown(path, owner.st_uid, owner.st_gid)
    with contextlib.ExitStack() as held:
        for path in ledgers:
            fcntl.flock(held.enter_context(open(path)), fcntl.LOCK_EX)
        since = time.time()
        session = start(remote, far, "echo fine")
        assert session.status == 0 and session.out == "fine\n", session.explain()
        assert time.time() - since < 150, "it waited for the sweep"
    start(remote, far, "true")
    assert until(lambda: not any(os.path.exists(path) for path in ledgers), 120)


def test_a_full_disk_on_the_remote_machine(remote, far, until):
    assert start(remote, far, "true").status == 0
    cache, state = far.home + "/.cache", far.home + "/.local"
    inside(far, "mount -t tmpfs -o size=2m,uid={0},gid={0},mode=700 none {1}".format(os.stat(far.home).st_uid, cache))
    try:
        session = start(remote, far, "true")
        assert session.status == 125 and "copying bottle to" in session.err and "disk is not full" in session.err, session.explain()
    finally:
        unmounted(far, until, cache)
    inside(far, "mount -t tmpfs -o size=1m,uid={0},gid={0},mode=700 none {1}".format(os.stat(far.home).st_uid, state))
    try:
        # The agent's work is larger than what that machine can save: it comes straight from its container.
        session = start(remote, far, "head -c 4000000 /dev/urandom >much; sha256sum <much")
        assert session.status == 0 and " confirmed that the agent's container" in session.err, session.explain()
        assert len(worktree_bytes(remote, "much")) == 4000000
        inside(far, "head -c 2000000 /dev/zero >%s/full || true" % state)
        session = start(remote, far, "true")
        assert session.status == 125 and "No space left" in session.err, session.explain()
        assert far.left() == []
    finally:
        unmounted(far, until, state)


def worktree_bytes(remote, name):
    refs = [r for r in remote.git("for-each-ref", "--sort=-creatordate", "--format=%(refname)", "refs/bottle").split() if r.endswith("/worktree")]
    return subprocess.run(["git", "-C", remote.workspace, "show", refs[0] + ":" + name], capture_output=True).stdout


def test_a_remote_clock_that_is_off_by_a_day(remote, far, tmp_path):
    """A process cannot have its own clock. A wrapper around ssh changes the time that the far program reports."""
    wrapper = tmp_path / "ssh"
    wrapper.write_text("""#!/usr/bin/env python3
import re, subprocess, sys
command = [%r] + sys.argv[1:]
if "'serve'" not in sys.argv[-1]:
    sys.exit(subprocess.call(command))
child = subprocess.Popen(command, stdout=subprocess.PIPE)
for line in child.stdout:
    sys.stdout.buffer.write(re.sub(rb'"clock_ms":(\\d+)', lambda m: b'"clock_ms":%%d' %% (int(m.group(1)) - 86400000), line))
    sys.stdout.flush()
sys.exit(child.wait())
""" % os.path.join(far.bin, "ssh"))
    wrapper.chmod(0o755)
    env = {**remote.extra_env, "PATH": "%s:%s" % (tmp_path, remote.extra_env["PATH"])}
    done = remote.bottle("remote", "check", far.target, "--json", env=env)
    found = {f["code"]: f for f in json.loads(done.stdout)["findings"]}
    assert done.returncode == 1 and found["clock"]["severity"] == "fail" and "1440 minutes" in found["clock"]["what"], found
    sudo_is_asked(remote, found["clock"]["todo"], "timedatectl", "set-ntp", "true")
    session = start(remote, far, "true", env=env)
    assert session.status == 125 and "clock" in session.err and far.left() == [], session.explain()
    # The clock was right the last time, so the start has begun when this is noticed.
    assert start(remote, far, "true").status == 0
    session = start(remote, far, "true", env=env)
    assert session.status == 125 and "clock" in session.err and far.left() == [], session.explain()
