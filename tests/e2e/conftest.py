"""Whole-program tests. Every test runs `bottle` in the world of tests/world as a new operator, with its own home and
state. After each test, nothing may be left on the engine, and no canary may have been touched."""

import json
import os
import shutil
import signal
import sys
import tempfile
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "world"))
import world as world_module  # noqa: E402
from clouds import Cloud  # noqa: E402
from operators import Operator, wait_for  # noqa: E402

RUNTIMES = ["runc", "runsc"]

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup(1) ignores it, and programs inherit that


# With -n, each of these groups runs in one process: tests that boot a VM (which keeps one core busy), tests that
# measure, and tests that need the largest image.
TOGETHER = {"test_vm.py": "vm", "test_start_vm.py": "vm", "test_link.py": "link", "test_claude.py": "claude"}


QUICK_VMS = ("test_vm_sessions.py", "test_vm_ends.py")


def pytest_configure(config):
    config.addinivalue_line("markers", "touches_canaries: this test reaches canaries on purpose, to show that they sing")


@pytest.hookimpl(tryfirst=True)  # this must happen before xdist reads the groups
def pytest_collection_modifyitems(items):
    quick = [item for item in items if os.path.basename(item.fspath) in QUICK_VMS]
    for number, item in enumerate(quick):  # each process bakes a disk for these tests, so only two processes run them
        item.add_marker(pytest.mark.xdist_group("quick%d" % (number % 2)))
    for item in items:
        if group := TOGETHER.get(os.path.basename(item.fspath)):
            item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: os.path.basename(item.fspath) not in TOGETHER and item not in quick)  # the longest first


@pytest.fixture(scope="session")
def world():
    with world_module.World(in_memory=True) as w:
        w.have_image("shell")
        yield w


@pytest.fixture
def operator(world, request, tmp_path_factory):
    since = time.time()
    operator = Operator(world, tempfile.mkdtemp(prefix="home-", dir=world.dir))
    yield operator
    wait_for(lambda: not world.left(), 15)
    left = world.left()
    if left:  # the next test must not spend time on it
        for session in operator.sessions():
            operator.bottle("stop", session)
        operator.bottle("cleanup")
    assert left == [], "left on the engine"
    if request.node.get_closest_marker("touches_canaries"):
        settle(world, since)
    else:
        assert world.hits(since) == [], "a canary was touched"


def settle(world, since):
    """Waits until the canaries log nothing more, so that the next test does not count what this one sent them."""
    before, now = -1, len(world.hits(since))
    while before != now:
        time.sleep(1)
        before, now = now, len(world.hits(since))


@pytest.fixture
def until():
    return wait_for


@pytest.fixture(params=RUNTIMES)
def runtime(request):
    return request.param


@pytest.fixture(scope="session")
def baked(world):
    """Returns the image that `bottle vm bake` makes. A VM with it is ready at once."""
    baker = Operator(world, world.path("baker"))
    cloud = Cloud(baker)
    done = cloud.bottle("vm", "bake", "lab", "--json", config=cloud.config())
    assert done.returncode == 0, done.stderr
    assert not cloud.there() and not cloud.records()
    return json.loads(done.stdout)["image"]


@pytest.fixture
def cloud(operator, baked):
    cloud = Cloud(operator, baked)
    yield cloud
    wait_for(cloud.nothing_left, 15)
    left = cloud.left()
    if any(left.values()):
        cloud.bottle("vm", "destroy", "--all", config=cloud.config())
        cloud.bottle("cleanup", config=cloud.config())
        shutil.rmtree(cloud.vms, ignore_errors=True)
    assert not any(left.values()), left
