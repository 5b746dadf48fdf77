"""Tests how the workspace gets into a bottle and comes back, in each mode."""

import os
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


def test_files_inside_belong_to_the_agent(operator, runtime):
    session = operator.start("test -w /workspace/README.md && test -O /workspace/README.md && cd /workspace && git status --short && echo mine", runtime=runtime)
    assert "mine" in session.out, session.explain()


def tree_in(workspace):
    """Makes files of all kinds that are sent, with times of their own."""
    tree = os.path.join(workspace, "tree")
    os.makedirs(os.path.join(tree, "below", "empty"))
    for name, mode, text in (("plain", 0o644, "text\n"), ("program", 0o755, "#!/bin/sh\n"), ("below/secret", 0o600, ""), ("below/fixed", 0o444, "x" * 5000),
                             ("below/" + "n" * 150, 0o640, "long name\n"), ("below/a b\u00e4", 0o644, "\0\n\r\x03")):
        with open(os.path.join(tree, name), "w", newline="") as file:
            file.write(text)
        os.chmod(os.path.join(tree, name), mode)
    os.symlink("../plain", os.path.join(tree, "below", "link"))
    os.symlink("nowhere", os.path.join(tree, "dangling"))
    for number, (path, names, files) in enumerate(os.walk(tree, topdown=False)):
        for name in files + names + ["."]:
            os.utime(os.path.join(path, name), (1000000000 + number, 1000000000 + number), follow_symlinks=False)


LISTING = ("cd / && find workspace/tree -printf '%p %y %m %U:%G %Ts %s %l\\n' | sort && find workspace/tree -type f -exec sha256sum {} + | sort; "
           "stat -c '%n %a %u:%g' /workspace /home/agent /workspace/README.md; touch /workspace/tree/below/new ~/new && echo written")


def test_files_are_the_same_whoever_unpacks_them(world, operator):
    """The inside helper unpacks a small workspace, and the engine a large one."""
    assert operator.start("true").status == 0
    assert "bottle-ready" in world.docker("images").stdout
    tree_in(operator.workspace)
    small = operator.start(LISTING, workspace="copy")
    assert small.status == 0 and small.out.endswith("written\n"), small.explain()
    assert "because the inside helper could not" not in small.err
    with open(os.path.join(operator.workspace, "large"), "wb") as file:
        file.write(os.urandom(2 << 20))
    large = operator.start(LISTING, workspace="copy")
    assert large.out == small.out, (small.explain(), large.explain())
    assert small.out.count(" 10000000") >= 10, small.out


def test_an_image_with_files_of_others_in_the_workspace(world, operator, request):
    """The inside helper may not write to these directories, so the engine unpacks the files."""
    image = "files-of-others:1"
    request.addfinalizer(lambda: world.docker("rmi", "-f", image, check=False))
    world.docker("build", "-t", image, "-", input="FROM %s\nUSER root\nRUN mkdir -p /workspace/src && echo old >/workspace/src/old && chmod -R go-w /workspace\n"
                 % world.images["shell"])
    os.mkdir(os.path.join(operator.workspace, "src"))
    with open(os.path.join(operator.workspace, "src", "new"), "w") as file:
        file.write("new\n")
    session = operator.start("cat /workspace/src/*; touch /workspace/src/mine && echo written", workspace="copy", image=image)
    assert session.status == 0 and session.out == "new\nold\nwritten\n", session.explain()
    assert "because the inside helper could not" in session.err


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
