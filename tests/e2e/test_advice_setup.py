"""Tests run the commands that bottle prints about the operator's machine as they are printed: docker, git, chmod and
ssh-keygen for real, and sudo and claude as stand-ins."""

import json
import os
import re
import shutil

import world as world_module
from printed import command_in, run_printed, stand_in

REFUSED = 125
HERE = os.path.dirname(os.path.abspath(__file__))
TOKEN = "sk-ant-oat01-" + "a" * 40

# Each command in backquotes in a message of the program, and the test that runs it.
RUN_BY = {
    "chmod -R go-w": "test_advice_setup.py test_advice_for_a_provider_that_others_can_write_to",
    "chmod 600": "test_advice_setup.py test_advice_for_a_key_that_others_can_read",
    "chmod o-w": "test_advice_setup.py test_advice_for_a_directory_that_others_can_write_to",
    "claude setup-token": "test_advice_setup.py test_advice_for_a_missing_token",
    "docker context ls": "test_advice_setup.py test_advice_for_a_context_that_is_gone",
    "docker context use default": "test_advice_setup.py test_advice_for_a_context_that_is_gone",
    "docker network rm bottle-egress": "test_advice_setup.py test_advice_for_another_network_of_that_name",
    "docker image prune": "test_advice_setup.py test_advice_for_a_disk_that_is_nearly_full",
    "docker builder prune": "test_advice_setup.py test_advice_for_a_disk_that_is_nearly_full",
    "git -C": "test_advice.py test_advice_for_a_branch_that_is_not_checked_out",
    "git fetch --refetch --no-filter": "test_advice.py test_advice_for_a_partial_clone",
    "git for-each-ref refs/bottle/": "test_advice_setup.py test_advice_for_results_that_cannot_be_read",
    "git submodule update --init": "test_advice_setup.py test_advice_for_a_submodule_that_is_empty",
    "ssh-keygen -R": "test_remote.py test_a_changed_host_key_is_refused_regardless_of_the_configuration",
    "sudo chsh -s /bin/sh USER": "test_remote_edges.py test_a_remote_user_without_a_login_shell",
    "sudo timedatectl set-ntp true": "test_remote_faults.py test_a_remote_clock_that_is_off_by_a_day",
    "sudo usermod -aG docker \\": "test_remote_edges.py test_a_remote_engine_that_the_user_may_not_use",
    "unset GIT_DIR": "test_advice_setup.py test_advice_for_variables_of_git",
    "unset GIT_WORK_TREE": "test_advice_setup.py test_advice_for_variables_of_git",
}
NOT_A_WHOLE_COMMAND = {"git add", "npm view PACKAGE@VERSION dist.integrity"}  # parts of an explanation
NOT_RUN = {
    "chmod go-w",  # printed for a program for another processor; session/images/images_test.cc runs it
    "ssh-keygen -y -f",  # printed after three wrong passphrases at a terminal; the command fails if there is no key
    "docker tag",  # printed for an image without a name that goes to an engine that stores images in another way
}


def test_every_printed_command_is_run_by_a_test():
    found = set()
    for directory, _, names in os.walk(os.path.join(world_module.ROOT, "src")):
        for name in names:
            if name.endswith(".cc") and not name.endswith("_test.cc"):
                with open(os.path.join(directory, name)) as file:
                    source = re.sub(r"//.*|\"\s*\n\s*\"", "", file.read())
                programs = "chmod|claude|cp|docker|git|mkdir|npm|ssh-keygen|sudo|unset"
                found |= {each.strip() for each in re.findall(r"`((?:%s) [^`\"]*)" % programs, source)}
    assert found == {*RUN_BY, *NOT_A_WHOLE_COMMAND, *NOT_RUN}
    for command, place in RUN_BY.items():
        name, test = place.split()
        with open(os.path.join(HERE, name)) as file:
            assert "def %s(" % test in file.read(), command


def refused(operator, says, **kwargs):
    session = operator.start("echo ran", **kwargs)
    assert session.status == REFUSED and says in session.err, session.explain()
    return session.err


def runs(operator, **kwargs):
    session = operator.start("echo ran", **kwargs)
    assert session.status == 0 and "ran" in session.out, session.explain()
    return session


def test_advice_for_another_network_of_that_name(operator):
    operator.world.docker("network", "rm", "bottle-egress", check=False)
    operator.world.docker("network", "create", "bottle-egress")
    said = refused(operator, "lets containers reach each other")
    run_printed(operator, command_in(said, "docker network rm"))
    runs(operator)


def test_advice_for_a_context_that_is_gone(operator):
    config = os.path.join(operator.home, ".docker", "config.json")
    os.makedirs(os.path.dirname(config))
    with open(config, "w") as file:
        json.dump({"currentContext": "gone"}, file)
    said = refused(operator, "context gone does not exist", env={"DOCKER_HOST": ""})
    assert "default" in run_printed(operator, command_in(said, "docker context ls"), DOCKER_HOST="").stdout
    run_printed(operator, command_in(said, "docker context use"), DOCKER_HOST="")
    after = operator.bottle("cleanup", "--dry-run", env={"DOCKER_HOST": ""})
    assert "context gone" not in after.stdout + after.stderr  # there may be no engine, but a context exists


def test_advice_for_a_disk_that_is_nearly_full(operator):
    small = os.path.join(operator.home, "small")
    os.makedirs(small)
    world_module.run("mount", "-t", "tmpfs", "-o", "size=64m", "none", small)
    try:
        said = operator.bottle("doctor", env={"XDG_STATE_HOME": small}).stdout
    finally:
        world_module.run("umount", small)
    assert "system prune" not in said and "container prune" not in said, said
    for command in "docker image prune", "docker builder prune":
        assert "Total" in run_printed(operator, command_in(said, command), answers="y\n").stdout


def test_advice_for_a_missing_token(operator):
    config = operator.config(image="bottle-no-such-image:1")
    config["agents"]["a"]["provider"] = "claude"
    path = stand_in(operator, "claude", '[ "$*" = setup-token ] && echo %s\n' % TOKEN)

    def said(*arguments, **env):
        done = operator.bottle(*arguments, config=config, token=False, env=env)
        return done.stdout + done.stderr

    start = ("start", "a", "--yes", "--headless", "-p", "x")
    asked = said(*start)
    assert "claude cannot sign in" in asked, asked
    token = run_printed(operator, command_in(asked, "claude"), PATH=path).stdout.strip()
    variable = re.search("export ([A-Z_]+)=", asked).group(1)
    now = said(*start, **{variable: token})
    assert "bottle-no-such-image" in now and "cannot sign in" not in now, now
    [finding] = [line for line in said("doctor").splitlines() if "setup-token" in line]
    assert run_printed(operator, command_in(finding, "claude"), PATH=path).stdout.strip() == TOKEN
    assert variable + " is set" in said("doctor", **{variable: token})


def test_advice_for_a_directory_that_others_can_write_to(operator):
    operator.config()
    config = os.path.join(operator.home, ".config", "bottle")
    os.makedirs(config, exist_ok=True)
    os.chmod(config, 0o777)
    done = operator.bottle("list", "--json")
    assert done.returncode == 125 and "is writable by everyone" in json.loads(done.stderr)["error"]["what"], done
    run_printed(operator, command_in(refused(operator, "is writable by everyone"), "chmod o-w"))
    runs(operator)


def test_advice_for_a_provider_that_others_can_write_to(operator):
    provider = os.path.join(operator.home, ".config", "bottle", "providers", "ours")
    os.makedirs(provider)
    for name, script in {"create": "exit 1", "ssh-info": "exit 1", "status": "echo '{\"status\":\"gone\"}'", "destroy": "echo '{\"status\":\"gone\"}'",
                         "list": "echo '{\"machines\":[]}'"}.items():
        with open(os.path.join(provider, name), "w") as file:
            file.write("#!/bin/sh\n" + script + "\n")
        os.chmod(file.name, 0o777)
    os.chmod(provider, 0o777)

    said = operator.bottle("provider", "test", "ours", "--no-ssh").stderr
    assert "can be written by others" in said, said
    run_printed(operator, command_in(said, "chmod -R go-w"))
    tested = operator.bottle("provider", "test", "ours", "--no-ssh")
    assert "can be written by others" not in tested.stdout + tested.stderr and "ok " in tested.stdout, tested


def test_advice_for_a_key_that_others_can_read(operator):
    key = os.path.join(operator.home, "a key's file")
    world_module.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", key)
    with open(key + ".pub") as file:
        public = " ".join(file.read().split()[:2])
    os.unlink(key + ".pub")
    os.chmod(key, 0o644)
    hosts = [{"host": "git.example.org", "user": "root", "host_key": public, "identity_file": key}]
    run_printed(operator, command_in(refused(operator, "can be read by others", ssh=hosts), "chmod 600"))
    runs(operator, ssh=hosts)


def test_advice_for_a_work_tree_whose_repository_was_moved(operator):
    linked, moved = os.path.join(operator.home, "linked, it's"), os.path.join(operator.home, "moved")
    operator.git("worktree", "add", "-q", "-b", "linked", linked)
    shutil.move(operator.workspace, moved)
    operator.workspace = linked
    said = refused(operator, "does not lead to a repository")
    run_printed(operator, command_in(said, "git worktree repair"), cwd=moved)
    runs(operator)


def test_advice_for_a_submodule_that_is_empty(operator):
    part = operator.world.workspace("part")
    allowed = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.file.allow", "GIT_CONFIG_VALUE_0": "always"}
    operator.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", part, "lib")
    operator.git("-c", "user.name=a", "-c", "user.email=a@b.invalid", "commit", "-qm", "Add lib")
    cloned = os.path.join(operator.home, "cloned")
    world_module.run("git", "clone", "-q", operator.workspace, cloned)
    operator.workspace = cloned
    said = operator.start("ls lib").err
    assert "the submodule lib was not sent" in said, said
    run_printed(operator, command_in(said, "git submodule update"), **allowed)
    session = operator.start("ls lib")
    assert "README.md" in session.out and "was not sent" not in session.err, session.explain()


def test_advice_for_variables_of_git(operator):
    other = operator.world.workspace()
    for name, value in (("GIT_DIR", other + "/.git"), ("GIT_WORK_TREE", other)):
        said = refused(operator, name, env={name: value})
        done = run_printed(operator, command_in(said, "unset") + " && git rev-parse --show-toplevel", **{name: value})
        assert done.stdout.strip() == operator.workspace, done


def test_advice_for_results_that_cannot_be_read(operator):
    session = operator.start("echo more >> README.md")
    [name] = os.listdir(os.path.join(operator.world.state(operator.home), "results"))
    with open(os.path.join(operator.world.state(operator.home), "results", name, "places.json"), "w") as file:
        file.write("{")
    said = operator.bottle("apply", name).stderr
    assert "refs/bottle/%s/worktree" % name in run_printed(operator, command_in(said, "git for-each-ref")).stdout, session.explain()


def test_advice_for_a_workspace_that_was_moved(operator):
    operator.start("echo more >> README.md")
    [name] = os.listdir(os.path.join(operator.world.state(operator.home), "results"))
    moved = os.path.join(operator.home, "moved")
    shutil.move(operator.workspace, moved)
    said = operator.bottle("apply", name, cwd=operator.home).stderr
    run_printed(operator, command_in(said, "git apply"), cwd=moved)
    with open(os.path.join(moved, "README.md")) as file:
        assert file.read().endswith("more\n")
    said = operator.bottle("discard", name, "--yes", cwd=operator.home).stderr
    run_printed(operator, command_in(said, "git for-each-ref"), cwd=moved)
    operator.workspace = moved
    assert operator.git("for-each-ref", "refs/bottle") == ""
