"""Tests machines that are not set up for bottle: each error message must say what is wrong on the machine and what to do."""

import contextlib
import os

import pytest

import world as world_module
from test_remote import far, remote, start  # noqa: F401  (fixtures)


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


def test_a_user_without_a_login_shell(remote, far):  # noqa: F811
    with changed(far, shell="/usr/sbin/nologin"):
        refused(remote, far, "has no login shell", "chsh")


def test_a_home_where_no_program_runs(remote, far):  # noqa: F811
    home = far.path("noexec")
    os.makedirs(home)
    mount = ["nsenter", "--mount", "--target", str(far.sshd.pid), "--"]
    world_module.run(*mount, "mount", "-t", "tmpfs", "-o", "noexec,mode=777", "none", home)
    try:
        with changed(far, home=home):
            refused(remote, far, "does not allow programs to run", "noexec", "XDG_CACHE_HOME")
    finally:
        world_module.run(*mount, "umount", "-l", home)


def test_a_very_long_home(remote, far):  # noqa: F811
    home = far.path("long", "x" * 200)
    os.makedirs(home)
    os.chown(home, 4242, 4242)
    with changed(far, home=home):
        refused(remote, far, "is longer than the system allows", "XDG_STATE_HOME")


def test_an_engine_that_the_user_may_not_use(remote, far):  # noqa: F811
    mode = os.stat(far.socket).st_mode
    os.chmod(far.socket, 0o600)
    try:
        refused(remote, far, "has a container engine that you may not use", "usermod -aG docker")
    finally:
        os.chmod(far.socket, mode)


@pytest.mark.parametrize("command", ["false", "sh -c 'echo no way >&2'"])  # ssh discards what it prints
def test_a_proxy_command_that_fails(remote, far, command):  # noqa: F811
    with open(far.path("ssh_config"), "a") as file:
        file.write("Host behind.example.org\n  ProxyCommand %s\n" % command)
    try:
        done = remote.bottle("remote", "check", "far@behind.example.org", env=remote.extra_env)
        assert done.returncode != 0 and "ProxyCommand %s, which ended without a connection" % command in done.stderr, done
    finally:
        far.operator_ssh()


def test_a_runtime_directory_that_is_gone(remote, far):  # noqa: F811
    session = start(remote, far, "echo ran", env={"XDG_RUNTIME_DIR": "/run/user/4711"})
    assert session.status == 0 and "ran" in session.out, session.explain()
