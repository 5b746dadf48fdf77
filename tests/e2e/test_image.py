"""The images that bottle makes on an engine: which are there, which a start would use, and that old ones go."""

import json

OLD = "bottle-agent-shell:000000000000"


def listed(operator):
    done = operator.bottle("image", "list", "--json", config=operator.config())
    assert done.returncode == 0, done.stderr
    return {image["reference"]: image for image in json.loads(done.stdout)}


def make_old(world):
    """An image as an earlier recipe would have left it."""
    world.docker("import", "--change", "LABEL bottle.image=agent", "-", OLD, input="")


def test_old_images_go_and_current_ones_stay(world, operator):
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


def test_a_table_for_people(operator):
    done = operator.bottle("image", "list", config=operator.config())
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].split() == ["IMAGE", "AGENT", "SIZE", "AGE", "USE"]
    assert "current" in done.stdout
