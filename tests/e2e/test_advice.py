"""Tests run every command that bottle prints for its operator as it is printed. All names have spaces, quotes and non-ASCII letters."""

import json
import os
import re
import shutil
import subprocess
import tempfile

import pytest

import world as world_module
from look import kill_for_sure, running, written
from operators import Operator

NASTY = "Jürgen O'Neil & co"
GIT = ["-c", "user.name=a", "-c", "user.email=a@b.invalid"]
COMMIT = "git -c user.name=a -c user.email=a@b.invalid commit -q "
PROGRAMS = r"(?:git(?: -C| --git-dir=| )|cp -Ri? |mkdir |chmod )"


def commands_in(text):
    """Returns the shell commands in the text: after "Take it:" and the like, alone on an indented line, after a colon, or in backquotes."""
    found = []
    for line in text.splitlines():
        match = re.match(r"(?:See it: |Take it:|     or:) +(.*)", line) or re.match(r"  (%s.*)" % PROGRAMS, line) or re.search(
            r": (%s.*)" % PROGRAMS, line) or re.search("`(%s[^`]*)`" % PROGRAMS, line)
        if match and match.group(1) != "git add":  # this is part of an explanation
            found.append(match.group(1))
    return found


@pytest.fixture
def nasty(world):
    operator = Operator(world, tempfile.mkdtemp(prefix=NASTY + "-", dir=world.dir))
    workspace = os.path.join(operator.home, "a project's Ünit; ls $HOME")
    shutil.move(operator.workspace, workspace)
    operator.workspace = workspace
    yield operator
    assert world.left() == []


def save(operator, name, text):
    path = os.path.join(operator.workspace, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)


def commit(operator, message="more", *arguments):
    operator.git("add", "-A")
    operator.git(*GIT, "commit", "-qm", message, *arguments)


def run(operator, command, cwd=None):
    env = {**operator.world.environment(home=operator.home), "LC_ALL": "C.UTF-8"}
    return subprocess.run(["sh", "-c", command], cwd=cwd or operator.workspace, env=env, capture_output=True, text=True, input="y\n" * 20)


def reset(operator):
    if os.path.isdir(os.path.join(operator.workspace, ".git")):
        operator.git("reset", "-q", "--hard")
        operator.git("clean", "-qfd")


def run_all(operator, session, expected, base=None):
    """Runs each printed command on the operator's original tree. `expected` lists how each command begins and a check of its effect."""
    commands = commands_in(session.err)
    told = [line for line in session.err.splitlines() if re.match("See it|Take it|     or|  git|  cp|.*: mkdir", line)]
    assert len(commands) == len(told) > 0, (commands, told, session.explain())
    unexpected = set(commands)
    for begins, check in expected:
        matching = [command for command in commands if re.match(begins, command)]
        assert matching, (begins, commands)
        for command in matching:
            unexpected.discard(command)
            if base:
                operator.git("reset", "-q", "--hard", base)
            reset(operator)
            done = run(operator, command)
            assert done.returncode == 0, (command, done)
            assert check(done), (command, done, session.explain())
    assert not unexpected, "no test runs these: %s" % unexpected


def has(operator, name, text):
    def check(_done):
        with open(os.path.join(operator.workspace, name)) as file:
            return text in file.read()
    return check


def shows(text):
    return lambda done: text in done.stdout


def head(operator):
    return operator.git("rev-parse", "HEAD").strip()


def test_advice_for_commits_and_loose_files(nasty):
    session = nasty.start("echo one >> README.md; %s -am one; echo 'über' > 'new ü.txt'" % COMMIT)
    assert session.status == 0, session.explain()
    run_all(nasty, session, [("git diff", shows("+über")), ("git merge", has(nasty, "new ü.txt", "über")),
                             ("git apply", has(nasty, "new ü.txt", "über"))], base=head(nasty))


def test_advice_for_a_rewritten_history_and_a_subdirectory(nasty):
    session = nasty.start("echo amended >> README.md; %s --amend -am amended" % COMMIT)
    assert session.status == 0, session.explain()
    run_all(nasty, session, [("git diff", shows("+amended")), ("git branch", lambda _: "amended" in nasty.git("log", "--all", "--format=%s")),
                             ("git apply", has(nasty, "README.md", "amended"))], base=head(nasty))
    save(nasty, "svc ü/a.txt", "a\n")
    commit(nasty)
    top, base = nasty.workspace, head(nasty)
    nasty.workspace = os.path.join(top, "svc ü")
    session = nasty.start("echo below >> a.txt")
    nasty.workspace = top
    assert session.status == 0, session.explain()
    run_all(nasty, session, [("git -C .* diff", shows("+below")), ("git -C .* merge", has(nasty, "svc ü/a.txt", "below")),
                             ("git -C .* apply", has(nasty, "svc ü/a.txt", "below"))], base=base)


def test_advice_for_a_directory_that_is_not_a_repository(nasty):
    shutil.rmtree(os.path.join(nasty.workspace, ".git"))
    session = nasty.start("echo more >> README.md; mkdir 'd ü'; echo x > \"d ü/it's\"", workspace="copy")
    assert session.status == 0, session.explain()
    commands = commands_in(session.err)
    assert [command.split()[0] for command in commands] == ["git", "git", "cp"], session.explain()
    for command, check in zip(commands, [shows("README.md"), has(nasty, "d ü/it's", "x"), has(nasty, "d ü/it's", "x")], strict=True):
        save(nasty, "README.md", "# A project\n")
        shutil.rmtree(os.path.join(nasty.workspace, "d ü"), ignore_errors=True)
        done = run(nasty, command, cwd=nasty.home)
        assert done.returncode == 0 and check(done), (command, done)


def test_advice_for_a_directory_where_cp_is_not_enough(nasty):
    shutil.rmtree(os.path.join(nasty.workspace, ".git"))
    save(nasty, "run ü.sh", "x\n")
    session = nasty.start("chmod +x 'run ü.sh'; echo more >> 'run ü.sh'; rm README.md; ln -s 'run ü.sh' link", workspace="copy")
    assert session.status == 0 and "are in the patch only: README.md, link" in session.err, session.explain()
    [command] = [each for each in commands_in(session.err) if " && chmod +x " in each]
    done = run(nasty, command, cwd=nasty.home)
    path = os.path.join(nasty.workspace, "run ü.sh")
    assert done.returncode == 0 and os.access(path, os.X_OK) and has(nasty, "run ü.sh", "more")(None), (command, done)


def test_advice_for_a_repository_without_a_commit(nasty):
    shutil.rmtree(os.path.join(nasty.workspace, ".git"))
    world_module.run("git", "init", "-q", "-b", "main", nasty.workspace)
    session = nasty.start("git add -A; %s -m first; echo more >> README.md; echo n > 'new ü.txt'" % COMMIT)
    assert session.status == 0 and "1 commit." in session.err, session.explain()
    commands = commands_in(session.err)
    for begins, check in [("git diff", shows("+more")), ("git apply", has(nasty, "new ü.txt", "n")),
                          ("git branch", lambda _: "first" in nasty.git("log", "--all", "--format=%s"))]:
        [command] = [each for each in commands if re.match(begins, each)]
        done = run(nasty, command)
        assert done.returncode == 0 and check(done), (command, done)
    assert len(commands) == 3, commands


def test_advice_for_stashes(nasty):
    session = nasty.start("for i in one two; do echo $i >> README.md; git -c user.name=a -c user.email=a@b.invalid stash -q; done")
    assert session.status == 0, session.explain()
    run_all(nasty, session, [("git stash apply .*/stash/0", has(nasty, "README.md", "two")), ("git stash apply .*/stash/1", has(nasty, "README.md", "one")),
                             ("git stash show .*/stash/0", shows("+two")), ("git stash show .*/stash/1", shows("+one"))])


def test_advice_for_a_branch_that_is_not_checked_out(nasty):
    session = nasty.start("git checkout -q -b feature; echo more >> README.md; %s -am one; git checkout -q main" % COMMIT)
    assert session.status == 0, session.explain()
    [ref] = nasty.git("for-each-ref", "--format=%(refname)", "refs/bottle").split()
    name = ref.split("/")[2]
    shown = nasty.bottle("apply", name)
    assert shown.returncode == 125 and "has no patch" in shown.stderr, shown
    [command] = re.findall("`(git .*)`", shown.stderr)
    assert ref in run(nasty, command, cwd=nasty.home).stdout, command
    run_all(nasty, session, [("git diff", shows("+more")), ("git merge", has(nasty, "README.md", "more"))], base=head(nasty))


def test_advice_for_nested_repositories_and_an_archive(nasty):
    inner = os.path.join(nasty.workspace, "inner ü")
    world_module.run("git", "init", "-q", "-b", "main", inner)
    save(nasty, "inner ü/b.txt", "b\n")
    world_module.run("git", "-C", inner, "add", "-A")
    world_module.run("git", "-C", inner, *GIT, "commit", "-qm", "Begin")
    begun = world_module.run("git", "-C", inner, "rev-parse", "HEAD").stdout.strip()
    save(nasty, ".gitignore", "inner ü/\ndist/\n")
    commit(nasty)
    session = nasty.start("echo more >> 'inner ü/b.txt'; git init -q made; echo x > made/x; mkdir dist; echo d > dist/d", workspace="copy")
    assert session.status == 0, session.explain()
    commands = commands_in(session.err)
    for begins, check in [("git -C .*inner.* diff", shows("+more")), ("git -C .*inner.* merge", has(nasty, "inner ü/b.txt", "more")),
                          ("git -C .*inner.* apply", has(nasty, "inner ü/b.txt", "more"))]:
        [command] = [each for each in commands if re.match(begins, each)]
        world_module.run("git", "-C", inner, "reset", "-q", "--hard", begun)
        done = run(nasty, command)
        assert done.returncode == 0 and check(done), (command, done)
    [command] = [each for each in commands if each.startswith("mkdir ")]
    done = run(nasty, command, cwd=nasty.home)
    name = command.split()[1]
    assert done.returncode == 0 and os.path.exists(os.path.join(nasty.home, name, "workspace", "made", "x")), (command, done)


def test_advice_for_a_repository_that_refuses_refs(nasty):
    in_the_way = os.path.join(nasty.workspace, ".git", "refs", "bottle")
    with open(in_the_way, "w") as file:
        file.write("in the way")
    session = nasty.start("echo more >> README.md; %s -am one" % COMMIT)
    assert session.status == 0, session.explain()
    os.unlink(in_the_way)
    run_all(nasty, session, [("git fetch", lambda _: nasty.git("for-each-ref", "refs/bottle") != ""), ("git apply --stat", shows("README.md")),
                             ("git apply", lambda _: True)], base=head(nasty))


@pytest.mark.skipif(not shutil.which("git-lfs"), reason="git-lfs is not installed")
def test_advice_for_files_under_git_lfs(nasty):
    """Uses the real git-lfs: a file that the agent changed becomes a pointer when the operator adds it."""
    env = nasty.world.environment(home=nasty.home)
    save(nasty, "model ü.bin", "large\n" * 100)
    setup = "git lfs install --local && git lfs track '*.bin' && git add -A && git -c user.name=a -c user.email=a@b commit -qm lfs"
    subprocess.run(["sh", "-c", setup], check=True, cwd=nasty.workspace, env=env, capture_output=True)
    assert nasty.git("show", "HEAD:model ü.bin").startswith("version https://git-lfs")
    base = head(nasty)
    session = nasty.start("cat 'model ü.bin' | wc -l; echo changed >> 'model ü.bin'; echo t > t.txt; git add -A; %s -m all; echo b > b.txt" % COMMIT,
                          workspace="copy")
    assert session.status == 0 and session.out.startswith("100\n"), session.explain()
    [worktree] = [ref for ref in nasty.git("for-each-ref", "--format=%(refname)", "refs/bottle").split() if ref.endswith("/worktree")]
    assert nasty.git("diff", "--name-only", base, worktree).split() == ["b.txt", "t.txt"], session.explain()

    def becomes_a_pointer(_done):
        nasty.git("add", "-A")
        return "size 608" in nasty.git("diff", "--cached", "HEAD", "--", "model ü.bin")

    run_all(nasty, session, [("cp -Ri ", becomes_a_pointer), ("git diff", shows("b.txt")), ("git merge", has(nasty, "b.txt", "b")),
                             ("git apply", has(nasty, "b.txt", "b"))], base=base)
    nasty.git("reset", "-q", "--hard", base)
    reset(nasty)
    name = worktree.split("/")[2]
    applied = nasty.bottle("apply", name)
    assert applied.returncode == 0, applied
    [command] = commands_in(applied.stderr)
    assert run(nasty, command).returncode == 0 and has(nasty, "model ü.bin", "changed")(None)


def run_bottle(operator, command, **env):
    """Runs a printed `bottle` command, with the tested program under that name."""
    there = os.path.join(operator.home, "bin")
    os.makedirs(there, exist_ok=True)
    if not os.path.exists(os.path.join(there, "bottle")):
        os.symlink(world_module.BOTTLE, os.path.join(there, "bottle"))
    variables = {**operator.world.environment(home=operator.home), **env}
    variables["PATH"] = there + ":" + variables["PATH"]
    in_world = ["nsenter", "--net=/run/netns/" + operator.world.host_ns, "--", "sh", "-c", command]
    return subprocess.run(in_world, cwd=operator.home, env=variables, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=480)


def test_advice_for_blocked_hosts(nasty):
    session = nasty.start("curl -sS https://forbidden.example.net/; true")
    [allow, logs] = re.findall("`(bottle [^`]*)`", session.err)
    [rule] = re.findall("^  - (.*)", session.err, re.MULTILINE)
    done = run_bottle(nasty, logs)
    assert done.returncode == 0 and "forbidden.example.net" in done.stdout, (logs, done)
    done = run_bottle(nasty, allow.replace("HOST", rule))
    assert done.returncode == 0, (allow, rule, done)
    path = os.path.join(nasty.home, ".config", "bottle", "bottle.yaml")
    with open(path) as file:
        assert rule in file.read()


def test_advice_after_a_supervisor_died(nasty, until):
    process = nasty.background("echo precious > p.txt; sleep 600")
    written(nasty, until, "/workspace/p.txt")
    running(nasty, until)
    ledger = os.path.join(nasty.world.state(nasty.home), "sessions", nasty.sessions()[0], "ledger")
    with open(ledger) as file:
        owner = next(json.loads(line)["owner"] for line in file if '"owner"' in line)
    session = nasty.sessions()[0]
    kill_for_sure(int(owner.split(":")[1]))
    said = process.communicate(timeout=360)[1] + nasty.bottle("attach", session).stderr
    commands = re.findall("`(bottle [^`]*)`", said)
    assert len(commands) > 1 and set(commands) == {"bottle cleanup"}, said
    done = run_bottle(nasty, commands[0])
    assert done.returncode == 0 and nasty.git("show", "refs/bottle/%s/worktree:p.txt" % session) == "precious\n", done
    done = run_bottle(nasty, commands[0])
    assert done.returncode == 0, done


def refused_then(operator, says, todo, **kwargs):
    """Does what a refused start says, exactly as printed. The next start must then run."""
    session = operator.start("echo ran", **kwargs)
    assert session.status == 125 and says in session.err, session.explain()
    [command] = commands_in(session.err)
    assert re.match(todo, command), command
    done = run(operator, command)
    assert done.returncode == 0, (command, done)
    session = operator.start("echo ran", **kwargs)
    assert session.status == 0 and "ran" in session.out, session.explain()


def test_advice_in_refusals(nasty):
    """Tests a git directory elsewhere, a repository of another user, and a partial clone."""
    separate = os.path.join(nasty.home, "separate git's dir")
    os.rename(os.path.join(nasty.workspace, ".git"), separate)
    save(nasty, ".git", "gitdir: %s\n" % separate)
    refused_then(nasty, "does not name", "git --git-dir=.* config core.worktree")
    os.chown(nasty.workspace, 4711, 4711)
    refused_then(nasty, "dubious ownership", "git config --global --add safe.directory")


def test_advice_for_a_partial_clone(nasty):
    source = nasty.workspace
    nasty.git("config", "uploadpack.allowFilter", "true")
    nasty.workspace = os.path.join(nasty.home, "partial clone's")
    world_module.run("git", "clone", "-q", "--no-checkout", "--filter=blob:none", "file://" + source, nasty.workspace)
    refused_then(nasty, "partial clone", "git fetch --refetch --no-filter")


def test_advice_for_a_home_directory(nasty):
    nasty.workspace = nasty.home
    session = nasty.start("true", workspace="copy")
    assert session.status == 125, session.explain()
    [option] = re.findall("add (--yes-really .*)", session.err)
    command = "%s start a --dry-run --headless -p x %s" % (world_module.BOTTLE, option)
    done = run(nasty, command)
    assert done.returncode == 0, (command, done)
