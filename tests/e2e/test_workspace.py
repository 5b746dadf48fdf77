"""Tests how the workspace gets into a bottle and comes back, in each mode."""

import os
import socket
import tarfile

import pytest

from attacks import PLANT_COMMANDS
from look import make_file, written


def test_clone_brings_back_commits_and_loose_files(operator):
    session = operator.start("cd /workspace && echo 1 > committed && git add -A && git -c user.name=a -c user.email=a@b.invalid commit -qm one && echo 2 > loose && echo 3 >> README.md")
    assert session.status == 0, session.explain()
    refs = operator.git("for-each-ref", "--format=%(refname)", "refs/bottle").split()
    files = {name for ref in refs for name in operator.git("ls-tree", "-r", "--name-only", ref).split()}
    assert {"committed", "loose"} <= files or "committed" in files, (refs, session.err)
    assert operator.git("status", "--porcelain") == "" and operator.git("branch", "--list").split() == ["*", "main"]


def test_what_comes_back_is_sanitized(operator):
    session = operator.start(PLANT_COMMANDS)
    assert session.status == 0, session.explain()
    hooks = os.path.join(operator.workspace, ".git", "hooks")
    assert not os.path.exists(os.path.join(hooks, "post-checkout"))
    assert "fsmonitor" not in open(os.path.join(operator.workspace, ".git", "config")).read()


@pytest.mark.parametrize("mode, seen", [("none", False), ("copy", True), ("clone", True), ("bind", True)])
def test_file_modes_come_back(operator, mode, seen):
    with open(os.path.join(operator.workspace, "uncommitted.txt"), "w") as file:
        file.write("here\n")
    session = operator.start("ls /workspace; echo new > /workspace/new.txt; echo wrote $?", workspace=mode)
    assert session.status == 0, session.explain()
    assert ("README.md" in session.out) == seen
    assert "wrote 0" in session.out
    assert os.path.exists(os.path.join(operator.workspace, "new.txt")) == (mode == "bind")
    if mode == "bind":
        stat = os.stat(os.path.join(operator.workspace, "new.txt"))
        assert (stat.st_uid, stat.st_gid) == (os.getuid(), os.getgid())


def test_a_bound_workspace_has_no_socket_of_a_service(operator):
    """A socket with a path leads to its process from any network namespace, as the operator."""
    with socket.socket(socket.AF_UNIX) as service:
        service.bind(os.path.join(operator.workspace, ".service"))
        service.listen()
        session = operator.start("echo ran", workspace="bind")
        assert session.status == 125 and "listens on the socket" in session.err and "ran" not in session.out, session.explain()
    session = operator.start("echo ran", workspace="bind")
    assert session.status == 0 and "ran" in session.out, session.explain()


def test_files_inside_belong_to_the_agent(operator, runtime):
    session = operator.start("test -w /workspace/README.md && test -O /workspace/README.md && cd /workspace && git status --short && echo mine", runtime=runtime)
    assert "mine" in session.out, session.explain()


def test_work_that_cannot_be_sorted_is_kept_whole(operator, until):
    process = operator.background("echo precious > /workspace/work.txt; until [ -e /tmp/go ]; do sleep 0.1; done")
    written(operator, until, "/workspace/work.txt")
    [session] = operator.sessions()
    os.rename(os.path.join(operator.workspace, ".git"), os.path.join(operator.workspace, "moved"))
    make_file(operator.world, "bottle-%s-agent" % session, "/tmp/go")
    out, err = process.communicate(timeout=360)
    archive = os.path.join(os.path.dirname(operator.world.state(operator.home) + "/x"), "results", session, "workspace.tar")
    assert archive in err, (out, err)
    with tarfile.open(archive) as tar:
        assert tar.extractfile("workspace/work.txt").read() == b"precious\n"
    assert operator.world.left() == []
