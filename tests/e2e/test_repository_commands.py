"""bottle never runs a command that a repository configures: every setting of git that names one, every hook, filter,
attribute, include, alternate, promisor and rewritten URL, for root and for an ordinary user, in their own repositories
and in those of others."""

import os
import shutil
import subprocess

import pytest

import command_settings
from operators import OTHER, UID, Person
from trap import expect_nothing

# The work of an agent, in a repository that is hostile to it too.


AGENT = r"""
cd /workspace || exit 98
rm -rf .git/hooks .git/info/attributes .gitattributes .git/modules sub nested
printf '[core]\n\trepositoryformatversion = 0\n[user]\n\tname = a\n\temail = a@b.invalid\n' > .git/config
echo new > new.txt && git add new.txt && git commit -qm new && git checkout -qb other && git commit -q --allow-empty -m other || exit 97
echo loose > loose.txt
echo all done
"""

# With these commands, git itself runs what is planted. This shows that the tests can fail.
OWN_COMMANDS = ["git status", "git for-each-ref --format='%(objecttype)'", "git cat-file -p gone", "git update-ref refs/x/y HEAD",
                "git fetch ext", "git fetch vcs", "git -c user.name=x -c user.email=x@y commit --allow-empty -m x", "git log -p -1",
                "git -C nested status", "git submodule update --force"]


@pytest.fixture(params=[0, UID], ids=["root", "user"])
def person(request, world, operator):  # `operator`: afterward nothing is left on the engine
    return Person(world, request.param)


def refs_of(repository):
    """Returns the refs, read from files, because git would run what is planted."""
    top = os.path.join(repository, ".git", "refs", "bottle")
    return sorted(os.path.relpath(os.path.join(at, name), top).split("/", 1)[1] for at, _, names in os.walk(top) for name in names)


def look_around(person, trap, repository):
    """Runs all commands that only read."""
    for words in (["list"], ["list", "--agents"], ["check"], ["logs"], ["cleanup"], ["__complete", "start", ""], ["__complete", "logs", ""],
                  *(["start", "a", "--dry-run", "--name", "dev", "--workspace", mode] for mode in ("clone", "copy", "bind", "none"))):
        done = person.bottle(*words, config=person.config(), cwd=repository)
        assert done.returncode == 0 or words == ["logs"], (words, done.stderr)
        expect_nothing(trap, words)


def test_bottle_classifies_every_setting_of_git():
    assert len(command_settings.names()) > 500
    assert command_settings.unknown() == []


@pytest.mark.parametrize("included", [False, True], ids=["direct", "included"])
def test_no_program_runs_in_the_operators_repository(person, trap, included):
    repository = trap.repository("own", owner=person.uid, included=included)
    blind = shutil.copytree(repository, os.path.join(trap.where, "blind"), symlinks=True)
    subprocess.run(["chown", "-hR", "%d:%d" % (person.uid, person.uid), blind], check=True)
    for command in OWN_COMMANDS:
        trap.clear()
        person.shell(command, blind)
        assert trap.ran(), "git itself runs nothing: " + command
    trap.clear()
    look_around(person, trap, repository)
    for mode in ("clone", "copy", "bind", "none"):
        script = AGENT if mode in ("clone", "copy") else "touch /workspace/touched && echo all done"
        session = person.start(script, "-C", repository, "--name", "in-" + mode, workspace=mode)
        assert session.status == 0 and "all done" in session.out, session.explain()
        expect_nothing(trap, mode)
    # The work came home, twice.
    assert refs_of(repository) == sorted(["heads/main", "heads/other", "worktree"] * 2)
    again = person.bottle("start", "a", "--dry-run", "--name", "in-clone", config=person.config(), cwd=repository)
    assert again.returncode == 125 and "existed before" in again.stderr
    look_around(person, trap, repository)


def test_missing_objects_are_not_fetched_from_a_promisor(person, trap):
    repository = trap.repository("partial", owner=person.uid, included=True, missing=True)
    session = person.start("echo ran", "-C", repository)
    expect_nothing(trap, "clone")
    assert session.status == 125 and "are missing or broken" in session.err and "partial clone" in session.err, session.explain()


def test_the_repository_of_another_user_is_refused(person, trap):
    repository = trap.repository("others", owner=OTHER)
    for words in (["--dry-run"], ["--dry-run", "--workspace", "copy"], ["--yes", "--headless", "-p", "true"]):
        done = person.bottle("start", "a", *words, config=person.config(), cwd=repository)
        assert done.returncode == 125 and "detected dubious ownership in repository at '%s'" % repository in done.stderr, done
        assert "git config --global --add safe.directory " + repository in done.stderr
        expect_nothing(trap, words)
    for words in (["list", "--agents"], ["check"], ["cleanup"], ["__complete", "start", ""]):
        assert person.bottle(*words, config=person.config(), cwd=repository).returncode == 0
        expect_nothing(trap, words)
    # If it is allowed, it is read, and nothing of it runs.
    with open(os.path.join(person.home, ".gitconfig"), "w") as file:
        file.write("[safe]\n\tdirectory = %s\n\tdirectory = %s-lender/.git/objects\n" % (repository, repository))
    session = person.start("cat /workspace/README.md", "-C", repository)
    assert session.status == 0 and "# Begin" in session.out, session.explain()
    expect_nothing(trap, "allowed")


def test_a_directory_that_points_to_a_private_repository_sends_nothing(person, trap):
    private, hostile = os.path.join(trap.where, "private"), os.path.join(trap.where, "hostile")
    script = ("git init -q -b main private && echo secret > private/key && git -C private add key && "
              "git -C private -c user.name=x -c user.email=x@y commit -qm key && mkdir hostile && echo gitdir: %s/.git > hostile/.git" % private)
    subprocess.run(["sh", "-c", script], check=True, cwd=trap.where)
    subprocess.run(["chown", "-R", "%d:%d" % (person.uid, person.uid), private, hostile], check=True)
    for mode in ("clone", "copy"):
        session = person.start("cat /workspace/key; cd /workspace && git show", "-C", hostile, workspace=mode)
        assert session.status == 125 and "secret" not in session.out + session.err, session.explain()
        assert "does not name '%s' as a work tree" % hostile in session.err
    # A real work tree is sent, and the plan names its repository.
    subprocess.run(person.as_them("git", "worktree", "add", "-q", os.path.join(private, "side")), check=True, cwd=private,
                   env={**os.environ, "HOME": person.home})
    done = person.bottle("start", "a", "--dry-run", config=person.config(), cwd=os.path.join(private, "side"))
    assert done.returncode == 0 and "a work tree of the repository %s/.git" % private in done.stdout, done


def test_programs_are_not_run_from_the_repository(person, trap):
    repository = os.path.join(trap.where, "plain")
    script = "git init -q -b main plain && git -C plain -c user.name=x -c user.email=x@y commit -q --allow-empty -m x"
    subprocess.run(["sh", "-c", script], check=True, cwd=trap.where)
    for program in ("git", "sh", "python3", "ssh"):
        os.symlink(trap.marker, os.path.join(repository, program))
    with open(os.path.join(repository, "json.py"), "w") as file:
        file.write("open(%r, 'w').write('json')\ndumps = str\n" % os.path.join(trap.marks, "json"))
    subprocess.run(["chown", "-hR", "%d:%d" % (person.uid, person.uid), repository], check=True)
    secret = {"from": "cmd:/usr/bin/python3 -c 'import json; print(json.dumps(\"x\" * 20))'", "hosts": ["allowed.example.org"]}
    session = person.start("echo all done", "-C", repository, secrets={"s": secret}, env={"PATH": ".::" + os.environ["PATH"]})
    assert session.status == 0 and "all done" in session.out, session.explain()
    expect_nothing(trap, "start -C")
    done = person.bottle("start", "a", "--yes", "--headless", "-p", "[ \"$BOTTLE_TEST\" = inside ] && echo all done", cwd=repository,
                         config=person.config(secrets={"s": secret}), env={"PATH": ".::" + os.environ["PATH"]})
    assert done.returncode == 0 and "all done" in done.stdout, done
    expect_nothing(trap, "start")


def test_agents_of_a_repository_must_be_regular_files_in_it(person, trap):
    repository = os.path.join(trap.where, "agents")
    agents = os.path.join(repository, ".bottle", "agents")
    os.makedirs(agents)
    with open(os.path.join(trap.where, "private.md"), "w") as file:
        file.write("---\nname: private\nbottle: b\n---\nsecret words\n")
    os.makedirs(os.path.join(repository, "shared"))
    shutil.copy(os.path.join(trap.where, "private.md"), os.path.join(repository, "shared", "inner.md"))
    subprocess.run(["chown", "-R", "%d:%d" % (person.uid, person.uid), repository], check=True)
    path = os.path.join(agents, "x.md")

    def refused(why):
        for words in (["list", "--agents"], ["start", "a", "--dry-run"], ["check"], ["start", "x", "--dry-run"]):
            done = person.bottle(*words, config=person.config(), cwd=repository)
            # Only the repository's own agents cannot be used.
            assert (done.returncode == 0) == (words[-1] == "--agents" or "a" in words), (words, done)
            said = done.stdout + done.stderr  # a plan has its warnings on stdout, and shortens them
            assert why.split("/")[0] in said and "secret words" not in said, (words, done)
        assert person.bottle("__complete", "start", "", config=person.config(), cwd=repository).returncode == 0
        for at, _, names in os.walk(agents):
            for name in names:
                os.unlink(os.path.join(at, name))

    os.mkfifo(path)
    refused("is not a regular file")
    os.symlink(os.path.join(trap.where, "private.md"), path)
    refused("leads out of " + repository)
    os.symlink("../../../private.md", path)
    refused("leads out of " + repository)
    with open(path, "w") as file:
        file.write("---\nname: x\nbottle: b\n---\n" + "x" * (1 << 20))
    refused("larger than")
    for number in range(300):
        with open(os.path.join(agents, "%d.md" % number), "w") as file:
            file.write("---\nname: x%d\nbottle: b\n---\nx\n" % number)
    refused("more than 200 agents")
    os.symlink("../../shared/inner.md", path)  # a target within the work tree
    done = person.bottle("list", "--agents", config=person.config(), cwd=repository)
    assert done.returncode == 0 and "private" in done.stdout, done
    shutil.rmtree(os.path.join(repository, ".bottle"))
    outside = os.path.join(trap.where, "outside", "agents")
    os.makedirs(outside)
    shutil.copy(os.path.join(trap.where, "private.md"), outside)
    os.symlink(os.path.dirname(outside), os.path.join(repository, ".bottle"))
    done = person.bottle("list", "--agents", config=person.config(), cwd=repository)
    assert done.returncode == 0 and "leads out of" in done.stderr and "private" not in done.stdout, done
