"""`bottle image build`: what it downloads runs in a container without a network, or not at all."""

import contextlib
import glob
import json
import os
import re
import secrets
import signal
import subprocess

import fake_packages
import pytest
from operators import wait_for

OTHER = "sha512-" + "B" * 86 + "=="


@pytest.fixture
def build(world, operator, request, tmp_path_factory):
    """Builds claude's image with stand-ins for npm and mmdebstrap. Returns a CompletedProcess."""
    where = os.path.join(operator.home, "fakes")
    env = fake_packages.make(where, claude="printf '9.9.9 \\033[2J\\033]0;x\\007 (Fake)\\n'")
    before = names(world)

    def run(*args):
        return operator.bottle("image", "build", "claude", "--package", "fake-" + request.node.name.replace("_", "-")[:40], *args, env=env)

    run.env, run.where = env, where
    yield run
    for name in names(world) - before:
        world.docker("rmi", "-f", name, check=False)


def names(world):
    return {tag for image in world.engine("GET", "/images/json") for tag in image["RepoTags"] or []}


def described(operator, reference):
    done = operator.bottle("image", "list", "--json", config={"bottles": {"b": {}}})
    assert done.returncode == 0, done.stderr
    return next(image for image in json.loads(done.stdout) if image["reference"] == reference)


def file_of(world, reference, path):
    container = world.docker("create", reference, "/x").stdout.strip()
    try:
        archive = subprocess.run(["docker", "-H", "unix://" + world.socket, "cp", container + ":" + path, "-"], stdout=subprocess.PIPE, check=True)
        return subprocess.run(["tar", "-xO"], input=archive.stdout, stdout=subprocess.PIPE, check=True).stdout.decode()
    finally:
        world.docker("rm", container)


def test_downloaded_programs_run_only_in_a_container(world, operator, build):
    done = build("--agent-version", "2.1.3", "--integrity", OTHER + " " + fake_packages.INTEGRITY)
    assert done.returncode == 0, done.stderr
    [agent] = re.findall(r"says: /usr/local/bin/claude as (.*)", done.stderr)
    assert agent.startswith("1000: CapEff: 0000000000000000 NoNewPrivs: 1 interfaces lo host"), done.stderr
    assert "cannot access" in agent, "the agent's program saw this machine's files"
    assert "\033" not in done.stderr and "\\x1b[2J" in done.stderr, done.stderr

    reference = done.stdout.strip()
    scripts = file_of(world, reference, "/var/seen").splitlines()
    assert len(scripts) == 3, scripts
    # chown, dac_override, fowner, fsetid, setgid and setuid: the engine's own set has eight more.
    assert all("as 0: CapEff: 00000000000000db NoNewPrivs: 1 interfaces lo host" in line for line in scripts), scripts

    assert "agent:" in file_of(world, reference, "/etc/passwd"), "a package's script could not make a user"
    image = described(operator, reference)
    assert (image["agent"], image["package"]) == ("claude 2.1.3", "@anthropic-ai/claude-code-linux-x64")
    assert image["integrity"] == fake_packages.INTEGRITY
    assert not any(name.startswith("bottle-unfinished") for name in names(world))


def test_a_package_with_another_integrity_is_refused(world, build):
    before = names(world)
    done = build("--agent-version", "2.1.3", "--integrity", OTHER)
    assert done.returncode == 125 and "is not what 'integrity' says" in done.stderr, done.stderr
    assert fake_packages.INTEGRITY in done.stderr, "the operator cannot see what it is"
    assert "claude says" not in done.stderr and names(world) == before


def test_an_agent_that_does_not_start_does_not_replace_the_old_image(world, operator, build):
    done = build()
    assert done.returncode == 0, done.stderr
    before = described(operator, done.stdout.strip())
    assert before["agent"] == "claude " + fake_packages.NEWEST
    fake_packages.set_claude(build.where, "echo 'cannot\033[1m start' >&2; exit 3")
    broken = build("--refresh")
    assert broken.returncode == 125 and "ended with status 3: cannot\\x1b[1m start" in broken.stderr, broken.stderr
    assert described(operator, before["reference"]) == before
    assert not any(name.startswith("bottle-unfinished") for name in names(world))


def test_a_killed_build_leaves_nothing(world, operator, build):
    fake_packages.set_claude(build.where, "exec sleep 1000")
    child = subprocess.Popen(world.command("image", "build", "claude", "--package", "killed"), cwd=operator.workspace,
                             env={**world.environment(home=operator.home), **build.env}, stderr=subprocess.DEVNULL)
    try:
        assert wait_for(lambda: any("-build" in thing for thing in world.left()), 60), "the build has no container"
        assert any(name.startswith("bottle-unfinished:build-") for name in names(world))
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert world.left(), "nothing was left to remove"
    done = operator.bottle("cleanup")
    assert done.returncode == 0, done.stderr
    assert world.left() == []
    assert not any(name.startswith("bottle-unfinished") for name in names(world))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_build_that_ends_while_it_unpacks_leaves_nothing_on_the_disk(world, operator, build, number):
    temporary, hangs = os.path.join(operator.home, "tmp"), os.path.join(operator.home, "hangs")
    os.mkdir(temporary)
    environment = {**world.environment(home=operator.home), **build.env, "TMPDIR": temporary, "FAKE_HANGS": hangs}
    child = subprocess.Popen(world.command("image", "build", "claude", "--package", "stopped"), cwd=operator.workspace, env=environment,
                             stderr=subprocess.PIPE, text=True)
    try:
        assert wait_for(lambda: os.path.exists(hangs), 60), "mmdebstrap does not run"
        with open(hangs) as file:
            pid = int(file.read())
        # Everything is in one directory, even what mmdebstrap has unpacked.
        [name] = os.listdir(temporary)
        assert any(each.startswith("mmdebstrap.") for each in os.listdir(os.path.join(temporary, name)))
        assert os.stat(os.path.join(temporary, name)).st_mode & 0o777 == 0o711
    finally:
        child.send_signal(number)
        err = child.communicate(timeout=360)[1]
    # A build that is killed ends the programs that it runs, too.
    assert wait_for(lambda: not os.path.exists("/proc/%d" % pid), 60), "mmdebstrap still runs"
    if number == signal.SIGKILL:
        done = operator.bottle("cleanup", "--dry-run", env={"TMPDIR": temporary})
        assert done.returncode == 0 and "would remove image build " + os.path.join(temporary, name) in done.stdout, done
        assert os.listdir(temporary) == [name]
        done = operator.bottle("cleanup", env={"TMPDIR": temporary})
        assert done.returncode == 0 and "removed image build " + os.path.join(temporary, name) in done.stdout, done
    else:
        assert child.returncode == 128 + number and "the build was stopped" in err, (child.returncode, err)
    assert os.listdir(temporary) == []


def test_a_build_that_runs_is_not_removed(world, operator, build):
    temporary, hangs = os.path.join(operator.home, "tmp"), os.path.join(operator.home, "hangs")
    os.mkdir(temporary)
    environment = {**world.environment(home=operator.home), **build.env, "TMPDIR": temporary, "FAKE_HANGS": hangs}
    child = subprocess.Popen(world.command("image", "build", "claude", "--package", "running"), cwd=operator.workspace, env=environment, stderr=subprocess.DEVNULL)
    try:
        assert wait_for(lambda: os.path.exists(hangs), 60), "mmdebstrap does not run"
        done = operator.bottle("cleanup", env={"TMPDIR": temporary})
        assert done.returncode == 0 and "image build" not in done.stdout and len(os.listdir(temporary)) == 1, done
    finally:
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=360)


def command_lines():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open("/proc/%s/cmdline" % pid, "rb") as file:
            yield file.read()


def test_other_users_do_not_see_the_logins_of_proxies_and_sources(world, operator, build):
    temporary, hangs, settings = (os.path.join(operator.home, name) for name in ("tmp", "hangs", "apt.conf"))
    os.mkdir(temporary)
    login = "me:" + secrets.token_hex(8)
    with open(settings, "w") as file:
        file.write('Acquire::http::Proxy "http://%s@127.0.0.1:1";\n' % login)
    environment = {**world.environment(home=operator.home), **build.env, "TMPDIR": temporary, "FAKE_HANGS": hangs, "APT_CONFIG": settings}
    child = subprocess.Popen(world.command("image", "build", "claude", "--package", "private"), cwd=operator.workspace, env=environment, stderr=subprocess.DEVNULL)
    try:
        assert wait_for(lambda: os.path.exists(hangs), 60), "mmdebstrap does not run"
        lines = list(command_lines())
        assert any(b"mmdebstrap" in line or b"fake_packages" in line for line in lines)
        assert not any(login.encode() in line for line in lines)
        private, found = set(), subprocess.run(["grep", "-rlF", "-e", login, "-e", "/debian", temporary], capture_output=True, text=True, check=True).stdout
        for path in found.splitlines():
            name = os.path.basename(path)
            if name in ("apt.conf", "98bottle") or name.startswith("machine."):
                assert os.stat(path).st_mode & 0o777 == 0o600, path
                private.add(name)
        assert {"apt.conf", "98bottle"} < private and any(name.startswith("machine.") for name in private), found
        for path in subprocess.run(["grep", "-rlF", login, temporary], capture_output=True, text=True, check=True).stdout.splitlines():
            assert os.stat(path).st_mode & 0o077 == 0, path
        [archive] = glob.glob(temporary + "/*/rootfs.tar.partial")
        assert os.stat(archive).st_mode & 0o777 == 0o600
    finally:
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=360)
