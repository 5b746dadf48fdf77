"""Tests what a repository can contain besides settings that name commands: extensions of its index, files beside its
objects, settings of one work tree, lists of alternates, and git's variables in the operator's environment. None of them
runs anything, hides work, or stops bottle without a reason."""

import os
import shutil
import subprocess
import tempfile

import pytest

from look import came_home
from operators import OTHER, Person
from trap import config_text, expect_nothing

# The bottle has the operator's changes, and the agent makes its own.


SCRIPT = "cat a/dirty a/untracked; echo agent >> a/dirty; echo made > made.txt"


@pytest.fixture
def plain(operator, trap):
    """Makes an ordinary workspace with some files, and a function that runs git in it."""
    def git(*args, where=operator.workspace):
        done = subprocess.run(["git", "-C", where, "-c", "user.name=o", "-c", "user.email=o@example.org", "-c", "protocol.file.allow=always", *args],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, (args, done.stderr)
        return done.stdout
    os.makedirs(os.path.join(operator.workspace, "a"))
    os.makedirs(os.path.join(operator.workspace, "b", "c"))
    for name in ("a/dirty", "a/same", "b/c/deep"):
        write(operator, name, "committed\n")
    git("add", "-A")
    git("commit", "-qm", "Some files")
    return git


def write(operator, name, text):
    with open(os.path.join(operator.workspace, name), "w") as file:
        file.write(text)


def make_dirty(operator):
    write(operator, "a/dirty", "changed by the operator\n")
    write(operator, "a/untracked", "untracked\n")


def assert_all_is_seen(operator, trap, session):
    assert session.status == 0 and session.out == "changed by the operator\nuntracked\n", session.explain()
    assert came_home(operator, "made.txt") == ["made\n"] and came_home(operator, "a/dirty") == ["changed by the operator\nagent\n"]
    expect_nothing(trap, session.explain())


def assert_git_itself_runs_it(operator, trap, variables=None):
    """Shows that the test can fail."""
    subprocess.run(["git", "status"], cwd=operator.workspace, env={**os.environ, **(variables or {})}, capture_output=True, timeout=240)
    assert trap.ran(), "git itself runs nothing"
    trap.clear()


@pytest.mark.parametrize("extension", ["fsmonitor", "split", "untracked", "sparse"])
def test_an_index_extension_hides_no_files(operator, trap, plain, extension):
    """An fsmonitor and an untracked cache tell git not to look at files."""
    if extension == "fsmonitor":
        quiet = os.path.join(trap.where, "quiet")
        with open(quiet, "w") as file:
            file.write("#!/bin/sh\nprintf 'token\\0'\n")
        os.chmod(quiet, 0o755)
        plain("-c", "core.fsmonitor=" + quiet, "update-index", "--fsmonitor")
        plain("-c", "core.fsmonitor=" + quiet, "status")
        plain("config", "core.fsmonitor", trap.marker)
    elif extension == "split":
        plain("config", "core.splitIndex", "true")
        plain("update-index", "--split-index")
        write(operator, "b/second", "second\n")
        plain("add", "b/second")
    elif extension == "untracked":
        plain("config", "core.untrackedCache", "true")
        plain("update-index", "--force-untracked-cache")
        plain("status")
    else:
        plain("sparse-checkout", "set", "--cone", "--sparse-index", "a")
    with open(os.path.join(operator.workspace, ".git", "index"), "rb") as file:
        assert {"fsmonitor": b"FSMN", "split": b"link", "untracked": b"UNTR", "sparse": b"sdir"}[extension] in file.read()
    make_dirty(operator)
    if extension == "fsmonitor":
        assert plain("-c", "core.fsmonitor=" + quiet, "status", "--porcelain") == "?? a/untracked\n", "git believes its fsmonitor"
        assert_git_itself_runs_it(operator, trap)
    assert_all_is_seen(operator, trap, operator.start(SCRIPT, workspace="copy"))
    if extension != "fsmonitor":
        return
    session = operator.start("cat a/dirty", workspace="clone")
    assert session.out == "committed\n" and "uncommitted changes were not sent" in session.err, session.explain()
    expect_nothing(trap, session.explain())


def broken_graph(objects):
    subprocess.run(["git", "-C", objects, "commit-graph", "write", "--reachable"], check=True, capture_output=True)
    spoil(os.path.join(objects, "info", "commit-graph"))


def broken_index_of_packs(objects):
    subprocess.run(["git", "-C", objects, "repack", "-adq"], check=True)
    subprocess.run(["git", "-C", objects, "multi-pack-index", "write", "--bitmap"], check=True, capture_output=True)
    for name in os.listdir(os.path.join(objects, "pack")):
        if name.startswith("multi-pack-index"):
            spoil(os.path.join(objects, "pack", name))


def graph_elsewhere(objects):
    os.makedirs(os.path.join(objects, "info", "commit-graphs"))
    with open(os.path.join(objects, "info", "commit-graphs", "commit-graph-chain"), "w") as file:
        file.write("../../../../../../etc/passwd\n" + "0" * 40 + "\n")


def spoil(path):
    """Keeps the file's head and replaces the rest."""
    os.chmod(path, 0o644)
    with open(path, "r+b") as file:
        file.seek(12)
        file.write(b"\xff" * (os.path.getsize(path) - 12))


@pytest.mark.parametrize("break_it", [broken_graph, broken_index_of_packs, graph_elsewhere])
def test_a_broken_file_in_the_object_directory_does_no_harm(operator, trap, plain, break_it):
    break_it(os.path.join(operator.workspace, ".git", "objects"))
    make_dirty(operator)
    assert_all_is_seen(operator, trap, operator.start(SCRIPT, workspace="copy"))


def lend(where, *lenders):
    with open(os.path.join(where, "info", "alternates"), "w") as file:
        file.writelines(lender + "\n" for lender in lenders)


def test_lists_of_alternate_object_directories_are_bounded(operator, trap, plain):
    """The alternates are a long chain, a circle, a path that is not a directory, or belong to another user."""
    objects = os.path.join(operator.workspace, ".git", "objects")
    stores = [os.path.join(trap.where, "store%d" % number) for number in range(8)]
    for store in stores:
        os.makedirs(os.path.join(store, "info"))
        os.makedirs(os.path.join(store, "pack"))
    dry = ("start", "a", "--dry-run")
    for store, following in zip([objects] + stores, stores, strict=False):
        lend(store, following)
    done = operator.bottle(*dry, config=operator.config())
    assert done.returncode == 125 and "chain of more than six repositories" in done.stderr, done
    lend(stores[1], objects, stores[0])
    os.mkfifo(os.path.join(trap.where, "fifo"))
    lend(stores[0], stores[1], "/dev/null/nothing", "../../../nothing")
    done = operator.bottle(*dry, config=operator.config())
    assert done.returncode == 0, done
    for strange in (os.path.join(trap.where, "fifo"), "/dev/zero"):
        lend(objects, strange)
        done = operator.bottle(*dry, config=operator.config(), timeout=240)
        assert done.returncode in (0, 125) and (done.returncode == 0 or strange in done.stderr), done
    lend(objects, stores[0])
    subprocess.run(["chown", "-R", str(OTHER), stores[0]], check=True)
    done = operator.bottle(*dry, config=operator.config())
    assert done.returncode == 125 and stores[0] in done.stderr and "dubious ownership" in done.stderr, done
    expect_nothing(trap, "lenders")


def test_settings_of_a_work_tree_and_bundle_uris_run_nothing(operator, trap, plain):
    """extensions.worktreeConfig adds a second file of settings; a bundle URI is fetched before anything else."""
    settings = [("core.fsmonitor", trap.marker), ("core.hooksPath", trap.hooks), ("filter.marker.clean", trap.marker), ("filter.marker.smudge", trap.marker),
                ("core.alternateRefsCommand", trap.marker), ("core.sshCommand", trap.marker), ("diff.external", trap.marker), ("include.path", trap.where + "/more"),
                ("fetch.bundleURI", "ext::%s bundle" % trap.marker), ("bundle.version", "1"), ("bundle.mode", "all"),
                ("bundle.first.uri", "ext::%s first" % trap.marker), ("remote.origin.url", "ext::%s url" % trap.marker), ("transfer.bundleURI", "true")]
    with open(os.path.join(trap.where, "more"), "w") as file:
        file.write(config_text(settings[:3]))
    plain("config", "extensions.worktreeConfig", "true")
    side = operator.workspace + "-side"
    plain("worktree", "add", "-q", side)
    for git_dir in (".git", ".git/worktrees/" + os.path.basename(side)):
        write(operator, git_dir + "/config.worktree", config_text(settings))
    os.makedirs(os.path.join(operator.workspace, ".git", "info"), exist_ok=True)
    write(operator, ".git/info/attributes", "* filter=marker diff=marker\n")
    make_dirty(operator)
    assert_git_itself_runs_it(operator, trap)
    assert_all_is_seen(operator, trap, operator.start(SCRIPT, workspace="copy"))
    session = operator.start("cat a/dirty", "-C", side)
    shutil.rmtree(side)
    assert session.status == 0 and session.out == "committed\n", session.explain()
    expect_nothing(trap, "a work tree")


def test_only_the_operators_own_git_settings_mark_a_directory_as_safe(world, operator, trap):
    """safe.directory counts in the operator's files, including included ones, and never in the repository's."""
    person = Person(world, 0)
    repository = trap.repository("others", owner=OTHER)
    allow = config_text([("safe.directory", "*")])
    for name in ("config", "config.worktree", "planted"):
        with open(os.path.join(repository, ".git", name), "a") as file:
            file.write(allow + config_text([("extensions.worktreeConfig", "true"), ("include.path", "planted")]))
    with open(os.path.join(repository, ".gitconfig"), "w") as file:
        file.write(allow)
    dry = ("start", "a", "--dry-run")
    done = person.bottle(*dry, config=person.config(), cwd=repository)
    assert done.returncode == 125 and "dubious ownership" in done.stderr, done
    variables = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*", "GIT_CONFIG_PARAMETERS": "'safe.directory'='*'"}
    done = person.bottle(*dry, config=person.config(), cwd=repository, env=variables)
    assert done.returncode == 125 and "dubious ownership" in done.stderr, done
    with open(os.path.join(person.home, ".gitconfig"), "w") as file:
        file.write(config_text([("include.path", "more")]))
    with open(os.path.join(person.home, "more"), "w") as file:
        file.write(allow)
    done = person.bottle(*dry, config=person.config(), cwd=repository)
    assert done.returncode == 0, done
    expect_nothing(trap, "safe.directory")


def test_gits_variables_in_the_operators_environment_change_nothing(operator, trap, plain):
    """direnv or another program's shell may have left the variables. The repository is the one in the directory."""
    elsewhere = tempfile.mkdtemp(dir=trap.where)
    plain("init", "-q", elsewhere, where=trap.where)
    with open(os.path.join(elsewhere, "planted"), "w") as file:
        file.write(config_text([("core.fsmonitor", trap.marker), ("core.hooksPath", trap.hooks), ("filter.marker.clean", trap.marker)]))
    names = ("GIT_EXTERNAL_DIFF GIT_SSH_COMMAND GIT_SSH GIT_ASKPASS SSH_ASKPASS GIT_PAGER GIT_EDITOR GIT_SEQUENCE_EDITOR GIT_PROXY_COMMAND").split()
    variables = {name: trap.marker for name in names}
    variables.update({"GIT_EXEC_PATH": trap.hooks, "GIT_TEMPLATE_DIR": trap.hooks, "GIT_CONFIG_GLOBAL": elsewhere + "/planted",
                      "GIT_CONFIG_SYSTEM": elsewhere + "/planted", "GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": "core.fsmonitor",
                      "GIT_CONFIG_VALUE_0": trap.marker, "GIT_CONFIG_KEY_1": "core.hooksPath", "GIT_CONFIG_VALUE_1": trap.hooks,
                      "GIT_CONFIG_PARAMETERS": "'core.fsmonitor'='%s'" % trap.marker, "GIT_INDEX_FILE": elsewhere + "/.git/index",
                      "GIT_OBJECT_DIRECTORY": elsewhere + "/.git/objects", "GIT_ALTERNATE_OBJECT_DIRECTORIES": elsewhere + "/.git/objects",
                      "GIT_NAMESPACE": "other", "GIT_TRACE": trap.marks + "/trace", "GIT_TRACE2_EVENT": trap.marks + "/trace2",
                      "GIT_REPLACE_REF_BASE": "refs/heads/", "GIT_LITERAL_PATHSPECS": "0", "GIT_PREFIX": "a/", "GIT_ATTR_SOURCE": "HEAD"})
    make_dirty(operator)
    assert_git_itself_runs_it(operator, trap, variables)
    assert_all_is_seen(operator, trap, operator.start(SCRIPT, workspace="copy", env=variables))
