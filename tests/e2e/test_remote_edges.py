"""Tests machines that are not set up for bottle: each error message must say what is wrong on the machine and what to do."""

import contextlib
import os
import re
import shutil

import pytest

import world as world_module
from far import agent_of, background, running, start, supervisor_of
from look import kill_for_sure, make_file
from printed import sudo_is_asked


@contextlib.contextmanager
def changed(far, **account):
    """Gives the far user's account another home or shell for the duration of the block."""
    with open(far.path("passwd")) as file:
        before = file.read()
    lines = before.splitlines()
    name, secret, uid, gid, comment, home, shell = lines[-1].split(":")
    lines[-1] = ":".join([name, secret, uid, gid, comment, account.get("home", home), account.get("shell", shell)])
    with open(far.path("passwd"), "w") as file:  # keeps the file, because it is mounted over the machine's
        file.write("\n".join(lines) + "\n")
    far.kill_connections()
    try:
        yield
    finally:
        with open(far.path("passwd"), "w") as file:
            file.write(before)
        far.kill_connections()


def refused(remote, far, *words):
    session = start(remote, far, "true")
    assert session.status == 125 and all(word in session.err for word in words), session.explain()
    return session.err


def test_a_remote_user_without_a_login_shell(remote, far):
    with changed(far, shell="/usr/sbin/nologin"):
        said = refused(remote, far, "has no login shell")
    sudo_is_asked(remote, said, "chsh", "-s", "/bin/sh", "USER")


def test_a_remote_home_directory_that_is_mounted_noexec(remote, far):
    home = far.path("noexec")
    os.makedirs(home)
    mount = ["nsenter", "--mount", "--target", str(far.sshd.pid), "--"]
    world_module.run(*mount, "mount", "-t", "tmpfs", "-o", "noexec,mode=777", "none", home)
    try:
        with changed(far, home=home):
            refused(remote, far, "does not allow programs to run", "noexec", "XDG_CACHE_HOME")
    finally:
        world_module.run(*mount, "umount", "-l", home)


def test_a_remote_home_directory_with_a_very_long_path(remote, far):
    home = far.path("long", "x" * 200)
    os.makedirs(home)
    os.chown(home, 4242, 4242)
    with changed(far, home=home):
        refused(remote, far, "is longer than the system allows", "XDG_STATE_HOME")


def test_a_remote_engine_that_the_user_may_not_use(remote, far):
    mode = os.stat(far.socket).st_mode
    os.chmod(far.socket, 0o600)
    try:
        said = refused(remote, far, "has a container engine that you may not use")
    finally:
        os.chmod(far.socket, mode)
    sudo_is_asked(remote, said, "usermod", "-aG", "docker", "me", USER="me")


@pytest.mark.parametrize("command", ["false", "sh -c 'echo no way >&2'"])  # ssh discards what it prints
def test_a_proxy_command_that_fails_is_named(remote, far, command):
    with open(far.path("ssh_config"), "a") as file:
        file.write("Host behind.example.org\n  ProxyCommand %s\n" % command)
    try:
        done = remote.bottle("remote", "check", "far@behind.example.org", env=remote.extra_env)
        assert done.returncode != 0 and "ProxyCommand %s, which ended without a connection" % command in done.stderr, done
    finally:
        far.operator_ssh()


def test_a_proxy_command_gets_the_operators_variables_from_the_supervisor_too(remote, far):
    """As a profile of a cloud does, the variable decides whether there is a way. The supervisor makes the second connection."""
    with open(far.path("ssh_config"), "a") as file:
        file.write("Host behind.example.org\n  HostKeyAlias %s\n  ProxyCommand sh -c 'echo $PPID >>%s; test -n \"$THE_WAY\" && exec ssh -W %s:22 %s'\n"
                   % (far.ip, far.path("ways"), far.ip, far.target))
    try:
        session = remote.start("echo ran", "--remote", "far@behind.example.org", env={**remote.extra_env, "THE_WAY": "there"}, timeout=300)
        assert session.status == 0 and "ran" in session.out, session.explain()
        with open(far.path("ways")) as file:
            assert len(file.readlines()) > 1, "there was no second connection"
        assert not remote.sessions()
    finally:
        far.operator_ssh()


def test_a_missing_runtime_directory_does_no_harm(remote, far):
    session = start(remote, far, "echo ran", env={"XDG_RUNTIME_DIR": "/run/user/4711"})
    assert session.status == 0 and "ran" in session.out, session.explain()


def test_the_far_agent_gets_the_locale_and_the_time_zone(remote, far):
    """Sshd and the far user's login shell pass none of these variables on."""
    variables = {"LANG": "de_DE.UTF-8", "LC_ALL": "C.utf8", "TZ": "Europe/Berlin"}
    session = start(remote, far, "echo $LANG $LC_ALL $TZ; echo ü | wc -m", env=variables)
    assert session.status == 0 and session.out.split() == ["C.UTF-8", "C.utf8", "Europe/Berlin", "2"], session.explain()


def test_the_first_commits_of_a_repository_come_home(remote, far):
    shutil.rmtree(os.path.join(remote.workspace, ".git"))
    world_module.run("git", "init", "-q", "-b", "main", remote.workspace)
    session = start(remote, far, "git add -A; git -c user.name=a -c user.email=a@b commit -qm first; git checkout -q --detach; "
                                 "git -c user.name=a -c user.email=a@b commit -q --allow-empty -m left; git checkout -q main; mkdir empty")
    assert session.status == 0 and "2 commits." in session.err and "empty/" in session.err, session.explain()
    assert set(remote.git("log", "--all", "--format=%s").split()) == {"first", "left"}


def test_commands_for_a_session_whose_supervisor_died(remote, far, until):
    process = background(remote, far, "until [ -e /tmp/go ]; do sleep 0.1; done; echo precious > p.txt")
    running(remote, until)
    session, supervisor = supervisor_of(remote)
    kill_for_sure(supervisor)
    process.communicate(timeout=360)
    stopped = remote.bottle("logs", session, env=remote.extra_env)
    [command] = re.findall("run `(bottle attach [^`]*)`", stopped.stderr + remote.bottle("allow", session, "x.example.org", env=remote.extra_env).stderr)
    make_file(far, agent_of(remote), "/tmp/go")
    done = remote.bottle(*command.split()[1:], env=remote.extra_env, timeout=360)
    assert done.returncode == 0, (command, done)
    assert remote.git("show", "refs/bottle/%s/worktree:p.txt" % session) == "precious\n"
