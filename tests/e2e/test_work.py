"""Work comes home from any directory, and the commands in the advice can be pasted."""

import json
import os
import subprocess

import pytest

COMMIT = "git -c user.name=a -c user.email=a@b.invalid commit -qam one"


def in_directory(operator, directory):
    os.makedirs(directory, exist_ok=True)
    operator.workspace = directory
    return operator


def test_a_start_in_a_subdirectory_sends_the_whole_repository(operator):
    top = operator.workspace
    with open(os.path.join(top, ".gitignore"), "w") as file:
        file.write(".env\n")
    operator.git("add", "-A")
    operator.git("-c", "user.name=a", "-c", "user.email=a@b.invalid", "commit", "-qm", "Ignore")
    in_directory(operator, os.path.join(top, "svc ü"))
    with open(os.path.join(operator.workspace, ".env"), "w") as file:
        file.write("KEY=real\n")
    session = operator.start("pwd; cat .env; git log --oneline | wc -l; stat -c %a ../README.md; echo new > new.txt; mkdir -p ../dist; git commit -q --allow-empty -m one && echo committed")
    assert session.status == 0, session.explain()
    assert "/workspace/svc ü" in session.out and "real" not in session.out and "committed" in session.out and "644" in session.out
    command = next(line.split("or: ", 1)[1] for line in session.err.splitlines() if "or: git" in line)
    subprocess.run(["sh", "-c", command], check=True, cwd=operator.workspace)
    with open(os.path.join(operator.workspace, "new.txt")) as file:
        assert file.read() == "new\n"


def test_the_home_directory_is_sent_only_if_it_is_named(operator):
    in_directory(operator, operator.home)
    session = operator.start("true", workspace="copy")
    assert session.status == 125 and "--yes-really" in session.err, session.explain()
    session = operator.start("echo ran", "--yes-really", operator.home, workspace="copy")
    assert session.status == 0 and "ran" in session.out, session.explain()


def test_git_variables_that_name_another_repository_are_refused(operator):
    """git would read these variables, so the operator may mean the other repository."""
    other = operator.world.workspace()
    for env, says in [({"GIT_DIR": other + "/.git"}, "unset GIT_DIR"), ({"GIT_WORK_TREE": other}, "unset GIT_WORK_TREE"),
                      ({"GIT_DIR": other + "/.git", "GIT_WORK_TREE": operator.workspace}, "unset GIT_DIR")]:
        session = operator.start("echo ran", env=env)
        assert session.status == 125 and says in session.err, session.explain()
    session = operator.start("echo ran", env={"GIT_DIR": operator.workspace + "/.git", "GIT_WORK_TREE": operator.workspace})
    assert session.status == 0 and "ran" in session.out, session.explain()


def test_other_users_can_read_the_work_as_they_can_read_the_repository(operator):
    """For example, someone uses sudo in a user's repository, and the user then reads the work without sudo."""
    session = operator.start("echo new > new.txt && git add new.txt && %s" % COMMIT)
    assert session.status == 0, session.explain()
    git = os.path.join(operator.workspace, ".git")
    assert os.listdir(git + "/refs/bottle"), session.explain()
    for top in ("refs", "objects"):
        for directory, _, files in os.walk(os.path.join(git, top)):
            for path in [directory, *(os.path.join(directory, name) for name in files)]:
                mode, readable = os.stat(path).st_mode, 0o055 if path == directory else 0o044
                assert mode & readable == readable, (path, oct(mode))


@pytest.mark.parametrize("mode", ["clone", "copy"])
@pytest.mark.parametrize("layout", ["linked", "bare", "separate"])
def test_a_work_tree_with_its_repository_elsewhere(operator, layout, mode):
    """Tests a work tree linked to another one, one linked to a bare repository beside it, and one with a separate git directory."""
    top, where = operator.workspace, os.path.join(operator.home, "project ü")
    os.makedirs(where)
    if layout == "separate":
        subprocess.run(["git", "init", "-q", "--separate-git-dir", os.path.join(where, "apart")], check=True, cwd=top)
        operator.git("config", "core.worktree", top)
    elif layout == "linked":
        operator.git("worktree", "add", "-q", os.path.join(where, "one"))
    else:
        subprocess.run(["git", "clone", "-q", "--bare", top, os.path.join(where, ".bare")], check=True)
        subprocess.run(["git", "-C", os.path.join(where, ".bare"), "worktree", "add", "-q", "-b", "one", "../one"], check=True)
    if layout != "separate":
        operator.workspace = os.path.join(where, "one")
    session = operator.start("git log --oneline | wc -l; echo more >> README.md; " + COMMIT, workspace=mode)
    assert session.status == 0 and session.out.strip() == "1", session.explain()
    refs = operator.git("for-each-ref", "--format=%(refname)", "refs/bottle").split()
    assert any("/heads/" in ref for ref in refs), session.explain()
    [worktree] = [ref for ref in refs if ref.endswith("/worktree")]
    assert operator.git("diff", "--name-only", "HEAD", worktree) == "README.md\n", session.explain()


def test_apply_diff_and_discard(operator):
    session = operator.start("echo more >> README.md")
    assert session.status == 0, session.explain()
    name = os.listdir(os.path.join(operator.world.state(operator.home), "results"))[0]
    shown = operator.bottle("diff", name)
    assert "+more" in shown.stdout, shown.stderr
    applied = operator.bottle("apply", name)
    assert applied.returncode == 0, applied.stderr
    with open(os.path.join(operator.workspace, "README.md")) as file:
        assert file.read().endswith("more\n")
    assert "does not apply" in operator.bottle("apply", name).stderr
    assert operator.git("for-each-ref", "refs/bottle") != ""
    discarded = operator.bottle("discard", name, "--yes")
    assert discarded.returncode == 0, discarded.stderr
    assert operator.git("for-each-ref", "refs/bottle") == ""
    assert not os.path.exists(os.path.join(operator.world.state(operator.home), "results", name))
    assert "no results" in operator.bottle("apply", name).stderr


def test_files_that_are_not_taken_are_kept_in_an_archive(operator):
    session = operator.start("git init -q made && echo x > made/x && mkdir dist && echo d > dist/d && echo dist/ > .gitignore", "--json")
    assert session.status == 0, session.explain()
    result = next(json.loads(line) for line in session.err.splitlines() if '"receipt"' in line)
    back = result["back"]
    assert back["ignored"] == ["dist/"] and os.path.exists(back["archive"]) and any("made/.git" in line for line in back["flagged"])
