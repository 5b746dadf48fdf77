"""Tests the images that bottle makes on an engine: which exist, which a start would use, and that old ones are removed."""

import json
import os
import shutil

OLD = "bottle-agent-shell:000000000000"


def listed(operator):
    done = operator.bottle("image", "list", "--json", config=operator.config())
    assert done.returncode == 0, done.stderr
    return {image["reference"]: image for image in json.loads(done.stdout)}


def make_old(world):
    """Makes an image as an earlier recipe would have left it."""
    world.docker("import", "--change", "LABEL bottle.image=agent", "-", OLD, input="")


def test_old_images_are_removed_and_current_ones_stay(world, operator):
    make_old(world)
    before = listed(operator)
    assert not before[OLD]["current"]
    current = {name for name, image in before.items() if image["current"]}
    assert any(name.startswith("bottle-agent-shell:") for name in current), before

    would = operator.bottle("image", "prune", "--dry-run")
    assert would.returncode == 0 and "would remove " + OLD in would.stdout
    assert OLD in listed(operator)

    done = operator.bottle("image", "prune", "--json")
    assert done.returncode == 0, done.stderr
    removed = {image["reference"] for image in json.loads(done.stdout)["removed"]}
    assert OLD in removed and not removed & current
    assert current <= set(listed(operator))


def test_an_image_in_use_stays(world, operator):
    make_old(world)
    container = world.docker("create", OLD, "/x").stdout.strip()
    try:
        assert listed(operator)[OLD]["used_by"]
        done = operator.bottle("image", "prune")
        assert done.returncode == 0, done.stderr
        assert OLD in listed(operator)
    finally:
        world.docker("rm", container)
    assert operator.bottle("image", "prune").returncode == 0
    assert OLD not in listed(operator)


def test_image_list_prints_a_table_on_a_terminal(operator):
    done = operator.bottle("image", "list", config=operator.config())
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].split() == ["IMAGE", "AGENT", "SIZE", "AGE", "USE"]
    assert "current" in done.stdout


def dockerfile(operator, text):
    """Returns the manifest of a bottle that builds its image from that text, in a file next to the manifest."""
    with open(os.path.join(operator.home, "agent.Dockerfile"), "w") as file:
        file.write(text)
    return {"provider": "shell", "dockerfile": os.path.join(operator.home, "agent.Dockerfile")}


def remove_built(world):
    for image in json.loads(world.engine("GET", "/images/json", raw=True)):
        for tag in image["RepoTags"] or []:
            if tag.startswith("bottle-agent-") and not image.get("Labels", {}).get("bottle.agent"):
                world.docker("rmi", tag, check=False)


def test_a_dockerfile_is_built_once(world, operator, request):
    """The base image is already on the engine, because the world has no registry."""
    request.addfinalizer(lambda: remove_built(world))
    config = dockerfile(operator, "FROM %s\nUSER root\nRUN echo baked >/etc/baked\nUSER agent\n" % world.load_image("shell"))
    first = operator.start("cat /etc/baked", **config)
    assert first.status == 0 and first.out == "baked\n", first.explain()
    assert "building bottle-agent-dockerfile" in first.err
    second = operator.start("cat /etc/baked", **config)
    assert second.out == "baked\n" and "building" not in second.err, second.explain()


def test_a_dockerfile_that_fails_is_reported(world, operator, request):
    request.addfinalizer(lambda: remove_built(world))
    config = dockerfile(operator, "FROM %s\nRUN exit 3\n" % world.load_image("shell"))
    session = operator.start("true", **config)
    assert session.status == 125 and "building " + config["dockerfile"] + " failed" in session.err, session.explain()
    bare = os.path.join(operator.home, "bin")
    os.mkdir(bare)
    for name in ("nsenter", "git"):
        os.symlink(shutil.which(name), os.path.join(bare, name))
    session = operator.start("true", env={"PATH": bare}, **config)
    assert session.status == 125 and "the docker command is missing" in session.err, session.explain()
    assert operator.sessions() == []
