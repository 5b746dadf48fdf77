"""The engine's labels are not the ledger: labels that an image or another user brings do not cause anything to be
removed, and neither does a file that looks like a ledger."""

import json
import os
import shutil
import subprocess

import pytest

from gated_engine import GatedEngine
from look import containers, everything, kill_all, make_file, running, written
from precious import EVIL, dead_owner, ledger_text
from watched import wait_for_mark


def forge(world, session, ledger):
    """Makes an image with the labels of a dead session, and a container from it."""
    labels = {"bottle.session": session, "bottle.owner": dead_owner(), "bottle.ledger": ledger, "bottle.role": "agent"}
    changes = [word for key, value in labels.items() for word in ("--change", "LABEL %s=%s" % (key, value))]
    world.docker("import", *changes, "--change", 'CMD ["/x"]', "-", EVIL, input="")
    return world.docker("create", "--name", "harmless", EVIL).stdout.strip()


@pytest.mark.parametrize("command", ["start", "cleanup"])
def test_labels_of_an_image_and_a_ledger_in_a_repository_remove_nothing(world, operator, before, precious, command):
    session = "deadbeef"
    where = os.path.join(operator.workspace, session)
    os.mkdir(where, 0o700)
    with open(os.path.join(where, "ledger"), "w") as file:
        file.write(ledger_text(precious, session, operator.workspace))
    forge(world, session, where)
    if command == "start":
        done = operator.start("echo fine")
        assert done.status == 0 and done.out == "fine\n", done.explain()
    else:
        done = operator.bottle("cleanup")
        assert done.returncode == 0, done
        assert "container harmless has the labels of session deadbeef" in done.stderr, done.stderr
    assert precious(), everything(world)
    assert "/harmless" in everything(world)[0], "a label alone condemns nothing"
    done = operator.bottle("cleanup", "--unrecorded", "--yes")  # --unrecorded does not remove them either, because sessions do not use such names
    assert done.returncode == 0 and precious() and "/harmless" in everything(world)[0], done
    world.docker("rm", "harmless")


@pytest.mark.parametrize("place", ["sessions", "graves"])
def test_a_ledger_that_names_things_of_others_is_ignored(world, operator, before, precious, place):
    """The ledger is in the right place. An agent with `workspace: bind` on the home directory could have written it, or
    a backup could have restored it."""
    where = os.path.join(world.state(operator.home), place, "deadbeef")
    os.makedirs(where, 0o700)
    with open(os.path.join(where, "ledger"), "w") as file:
        file.write(ledger_text(precious, "deadbeef", os.path.join(world.state(operator.home), "results", "deadbeef")))
    done = operator.bottle("cleanup")
    assert done.returncode == 125 and "cannot be trusted" in done.stderr and "precious-data" in done.stderr, done
    started = operator.start("echo fine")
    assert started.status == 0 and started.out == "fine\n" and "cannot be trusted" in started.err, started.explain()
    assert precious(), everything(world)
    shutil.rmtree(where)


def test_a_ledger_that_others_can_write_to_is_ignored(world, operator, before, until):
    process = operator.background("sleep 100")
    running(operator, until)
    session = operator.sessions()[0]
    kill_all(operator)
    process.communicate(timeout=360)
    where = os.path.join(world.state(operator.home), "sessions", session)
    os.chmod(where, 0o777)
    done = operator.bottle("cleanup")
    assert done.returncode == 125 and "can be written to by others" in done.stderr, done
    assert json.loads(operator.bottle("list", "--json").stdout) == [{"session": session, "state": "refused"}]
    assert len(world.left()) == 5, world.left()
    os.chmod(where, 0o700)
    assert operator.bottle("cleanup").returncode == 0
    assert everything(world) == before


def test_an_image_that_brings_our_labels_is_refused(world, operator, before):
    base = world.images["shell"]
    try:
        world.docker("build", "-t", EVIL, "-", input="FROM %s\nLABEL bottle.session=x bottle.role=guard\n" % base)
        done = operator.start("true", image=EVIL)
        assert done.status == 125 and "carries the label bottle.role" in done.err, done.explain()
        assert operator.sessions() == [] and everything(world) == before
    finally:
        world.docker("rmi", "-f", EVIL, check=False)


def test_labels_and_health_checks_of_images_do_not_reach_containers(world, operator, before, until):
    base = world.images["shell"]
    try:
        world.docker("build", "-t", EVIL, "-", input="FROM %s\nLABEL bottle.agent=x\nHEALTHCHECK --interval=1s CMD touch /tmp/checked\n" % base)
        process = operator.background("sleep 4; " + wait_for_mark("go") + "ls /tmp/checked", image=EVIL)
        running(operator, until)
        agent = [c for c in world.engine("GET", "/containers/json") if c["Labels"].get("bottle.role") == "agent"]
        assert len(agent) == 1 and agent[0]["Labels"]["bottle.session"] == operator.sessions()[0], agent
        make_file(world, agent[0]["Id"], "/tmp/go")
        out, err = process.communicate(timeout=360)
        assert "checked" not in out.replace("cannot access '/tmp/checked'", ""), (out, err)
    finally:
        world.docker("rmi", "-f", EVIL, check=False)


@pytest.mark.parametrize("kind", ["volume", "container"])
def test_a_start_does_not_use_existing_things_that_have_its_names(world, operator, before, kind):
    """An engine mounts a volume that already exists, with all its content."""
    if kind == "volume":
        world.docker("volume", "create", "bottle-taken-home")
    else:
        world.docker("create", "--name", "bottle-taken-guard", world.images["shell"], "true")
    try:
        done = operator.start("true", "--name", "taken")
        assert done.status == 125 and "this engine already has a session taken" in done.err, done.explain()
        assert operator.sessions() == []
    finally:
        world.docker(*(("volume", "rm", "bottle-taken-home") if kind == "volume" else ("rm", "bottle-taken-guard")))
    assert everything(world) == before


def test_a_grave_does_not_remove_a_later_session_of_the_same_name(world, operator, before, until):
    """What one state directory remembers of a session does not apply to another session of that name."""
    grave = os.path.join(world.state(operator.home), "graves", "same")
    os.makedirs(grave, 0o700)
    names = {"container": ["bottle-same-agent", "bottle-same-guard"], "network": ["bottle-same"], "volume": ["bottle-same-home", "bottle-same-work"]}
    with open(os.path.join(grave, "ledger"), "w") as file:
        for record in ({"owner": dead_owner()}, {"engine": world.socket},
                       {"make": [{"kind": kind, "name": name} for kind in names for name in names[kind]]}):
            file.write(json.dumps(record) + "\n")
    other = os.path.join(operator.home, "other-state")
    process = operator.background(wait_for_mark("go") + "echo alive", "--name", "same", variables={"XDG_STATE_HOME": other})
    assert until(lambda: containers(world, "agent"), 60), process.communicate()
    assert operator.bottle("cleanup").returncode == 0
    make_file(world, "bottle-same-agent", "/tmp/go")
    out, err = process.communicate(timeout=360)
    assert process.returncode == 0 and "alive" in out, (out, err)
    shutil.rmtree(grave)
    assert everything(world) == before


def test_a_lost_state_directory_is_cleaned_up_when_asked_for(world, operator, before, until):
    process = operator.background("cd /workspace && echo kept > kept.txt; sleep 100")
    written(operator, until)
    session = operator.sessions()[0]
    kill_all(operator)
    process.communicate(timeout=360)
    shutil.rmtree(world.state(operator.home))
    # The guard ends with its supervisor. Until then, the session counts as running.
    assert until(lambda: not containers(world, "guard"), 60)
    there = everything(world)
    shown = operator.bottle("cleanup")
    assert shown.returncode == 0 and shown.stderr.count("no ledger on this machine names it") == 5, shown
    assert "bottle cleanup --unrecorded" in shown.stderr, shown
    listed = json.loads(operator.bottle("cleanup", "--json").stdout)
    assert len(listed) == 5 and all(one["unrecorded"] and one["removable"] for one in listed), listed
    assert shown.stderr.count("it was left alone") == 5, shown
    planned = operator.bottle("cleanup", "--unrecorded", "--dry-run")
    assert planned.stderr.count("it would be removed") == 5 and "left alone" not in planned.stderr, planned
    unasked = operator.bottle("cleanup", "--unrecorded")
    assert unasked.returncode == 125 and everything(world) == there, unasked
    done = operator.bottle("cleanup", "--unrecorded", "--yes")
    assert done.returncode == 0 and "left alone" not in done.stderr, done
    assert everything(world) == before
    archive = os.path.join(world.state(operator.home), "results", session, "workspace.tar")
    listing = subprocess.run(["tar", "-tf", archive], capture_output=True, text=True, check=True).stdout.split()
    assert any(name.endswith("kept.txt") for name in listing), "what the agent did is kept"


@pytest.mark.parametrize("hold, exists", [("POST .*/create.*trial", False), ("POST .*trial.*/start", True)], ids=["create", "start"])
def test_a_runtime_trial_that_was_killed_is_swept(world, operator, before, hold, exists):
    """The trial belongs to no session. Its name is on the disk before it is created."""
    operator.forget_trials()
    graves, gate = os.path.join(world.state(operator.home), "graves"), os.path.join(operator.home, "gate.sock")
    with GatedEngine(gate, world.socket, hold) as engine:
        process = operator.background("true", variables={"DOCKER_HOST": "unix://" + gate})
        assert engine.held.wait(360), process.communicate()
        kill_all(operator)
        process.communicate(timeout=360)
        assert any("trial" in name for name in everything(world)[0]) == exists, everything(world)
        [grave] = [n for n in os.listdir(graves) if n.startswith("trial-")]
        ledger = os.path.join(graves, grave, "ledger")
        os.utime(ledger, (0, os.stat(ledger).st_mtime - 120))
        engine.open()
        assert operator.bottle("cleanup", env={"DOCKER_HOST": "unix://" + gate}).returncode == 0
    assert everything(world) == before
    assert os.listdir(graves) == []
