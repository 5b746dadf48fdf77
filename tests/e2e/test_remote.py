"""`bottle start --remote`: the same bottle on another machine, over a real sshd, with a real dockerd there."""

import json
import os
import subprocess
import time

import pytest


@pytest.fixture(scope="module")
def far(world):
    return world.machine()


@pytest.fixture
def remote(operator, far):
    """The operator with a way to the far machine; afterwards nothing of a session may be there."""
    run_dir = os.path.join(operator.home, "run")
    os.makedirs(run_dir, mode=0o700, exist_ok=True)
    operator.extra_env = {"PATH": far.bin + ":" + os.environ["PATH"] + ":/usr/sbin:/sbin", "XDG_RUNTIME_DIR": run_dir}
    yield operator
    assert far.left() == [], "left on the far engine"
    assert [f for f in far.files()] == [], "files left on the far machine"


def start(remote, far, script, *args, timeout=300, env=None, **config):
    return remote.start(script, "--remote", far.target, *args, env={**remote.extra_env, **(env or {})}, timeout=timeout, **config)


def test_work_goes_there_and_comes_home(remote, far):
    session = start(remote, far, "id -u; cat README.md; echo made >made.txt; git add -A; git -c user.name=a -c user.email=a@b commit -qm work; echo left >untracked.txt; exit 7")
    assert session.status == 7, session.explain()
    assert "# A project" in session.out
    refs = remote.git("for-each-ref", "--format=%(refname)", "refs/bottle").split()
    assert any(ref.endswith("/heads/main") for ref in refs), refs
    worktree = [ref for ref in refs if ref.endswith("/worktree")][0]
    assert remote.git("show", worktree + ":untracked.txt") == "left\n"
    assert remote.git("show", worktree + ":made.txt") == "made\n"
    assert remote.git("status", "--porcelain") == ""
    assert "confirmed" in session.err, session.err
