"""Whole-program tests. Every test runs `bottle` in the world of tests/world as a new operator, with its own home and
state. After each test, nothing may be left on the engine, and no canary may have been touched."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "world"))
pytest.register_assert_rewrite("far", "terminals", "trap", "values", "watched")  # a failure there shows the values too
import world as world_module  # noqa: E402
from clouds import Cloud  # noqa: E402
from far import restart_sshd, start  # noqa: E402
from lab import Lab  # noqa: E402
from local_guard import Guard, run  # noqa: E402
from look import everything, kill  # noqa: E402
from operators import Operator, wait_for  # noqa: E402
from precious import EVIL  # noqa: E402
from trap import Trap  # noqa: E402

RUNTIMES = ["runc", "runsc"]

# An engine starts its own program several times for each container, for a moment. That takes a quarter less processor
# time if it collects no garbage meanwhile, as with this. (The benchmarks use the default.)
os.environ.setdefault("GOGC", "400")

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup(1) ignores it, and programs inherit that


# With -n, each of these groups runs in one process: tests that boot a VM (which keeps one core busy), tests that
# measure, and tests that need the largest image.
TOGETHER = {"test_vm.py": "vm", "test_start_vm.py": "vm", "test_link.py": "link", "test_claude.py": "claude"}


QUICK_VMS = ("test_vm_sessions.py", "test_vm_ends.py")
# Tests of these files take a minute or more. They start early, so that they do not run alone after all others.
LONG = (*TOGETHER, *QUICK_VMS, "test_contract.py", "test_weakened_walls.py")


def pytest_configure(config):
    config.addinivalue_line("markers", "touches_canaries: this test reaches canaries on purpose, to show that they report it")


@pytest.hookimpl(tryfirst=True)  # this must happen before xdist reads the groups
def pytest_collection_modifyitems(items):
    quick = [item for item in items if os.path.basename(item.fspath) in QUICK_VMS]
    for number, item in enumerate(quick):  # each process bakes a disk for these tests, so only two processes run them
        item.add_marker(pytest.mark.xdist_group("quick%d" % (number % 2)))
    for item in items:
        if group := TOGETHER.get(os.path.basename(item.fspath)):
            item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: os.path.basename(item.fspath) not in LONG)


@pytest.fixture(scope="session")
def world():
    with world_module.World(in_memory=True) as w:
        w.load_image("shell")
        w.keep_images()
        yield w


@pytest.fixture
def operator(world, request, tmp_path_factory):
    since = time.time()
    operator = Operator(world, tempfile.mkdtemp(prefix="home-", dir=world.dir))
    yield operator
    operator.keep_trials()
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


@pytest.fixture(scope="module")
def far(world):
    """Another machine of the world, with an sshd and an engine. The engine has the shell's image, because only some
    tests are about sending one."""
    return world.machine(images=True)


@pytest.fixture
def remote(operator, far, until):
    """An operator who can reach the far machine. Afterward, nothing of a session may be left on that machine."""
    run_dir = os.path.join(operator.home, "run")
    os.makedirs(run_dir, mode=0o700, exist_ok=True)
    operator.extra_env = {"PATH": far.bin + ":" + os.environ["PATH"] + ":/usr/sbin:/sbin", "XDG_RUNTIME_DIR": run_dir}
    if not any(network["Name"] == "bottle-egress" for network in far.engine("GET", "/networks")):
        # The first session on a machine takes much longer, and its ledger has one record more, for the egress network.
        session = start(operator, far, "true", timeout=600)
        assert session.status == 0, session.explain()
    yield operator
    for session in operator.sessions():
        operator.bottle("stop", session, env=operator.extra_env, timeout=120)
    try:
        until(lambda: not far.left() and not far.files(), 20)
        assert far.left() == [], "left on the far engine"
        assert far.files() == [], "files left on the far machine"
        assert operator.sessions() == []
    except (AssertionError, OSError):
        far.clear()
        raise


@pytest.fixture
def restored(far):
    """Afterward, the far machine's sshd has its ordinary configuration again."""
    yield
    restart_sshd(far)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """Makes a certificate authority, and a certificate for all names of these tests."""
    directory = tmp_path_factory.mktemp("pki")
    ca, key, leaf = (str(directory / name) for name in ("ca.pem", "key.pem", "leaf.pem"))
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = "subjectAltName=DNS:*.example.org,IP:2001:db8::7"
    (directory / "ext").write_text(names + "\nextendedKeyUsage=serverAuth\n")
    for argv in (
        ["req", "-x509", *curve, "-subj", "/CN=Test CA", "-days", "2", "-keyout", key + ".ca", "-out", ca],
        ["req", *curve, "-subj", "/CN=test", "-keyout", key, "-out", leaf + ".csr"],
        ["x509", "-req", "-in", leaf + ".csr", "-CA", ca, "-CAkey", key + ".ca", "-CAcreateserial", "-days", "2", "-out", leaf,
         "-extfile", str(directory / "ext")],
    ):
        made = run("openssl", *argv)
        assert made.returncode == 0, made.stderr
    return ca, (leaf, key)


@pytest.fixture
def guard(tmp_path, pki):
    """Returns a function that starts a guard on this machine with a configuration."""
    made = []

    def make(**config):
        made.append(Guard(tmp_path, pki[0], config))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def trap(world):
    """Makes the marks and hooks that hostile repositories run if git lets them (trap.py)."""
    with contextlib.ExitStack() as stack:
        where = tempfile.mkdtemp(prefix="trap-", dir=world.dir)
        os.chmod(where, 0o755)
        stack.callback(shutil.rmtree, where, ignore_errors=True)
        yield Trap(where)


@pytest.fixture(scope="session")
def started(world):
    """Makes on the engine what only the first start makes."""
    first = Operator(world, tempfile.mkdtemp(prefix="home-", dir=world.dir))
    assert first.bottle("engine", "prepare").returncode == 0
    assert first.start("true").status == 0
    first.keep_trials()


@pytest.fixture
def before(world, operator, started):
    """Returns what the engine has without a session."""
    return everything(world)


@pytest.fixture
def precious(world):
    """Makes things that belong to no session: a volume, a container, a network, a process that listens on a socket."""
    image = world.images["shell"]
    path = world.path("precious.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(8)
    process = subprocess.Popen(["sleep", "1000"], stdin=listener, pass_fds=[listener.fileno()])
    world.docker("volume", "create", "precious-data")
    world.docker("network", "create", "--internal", "precious-net")
    world.docker("create", "--name", "precious", image, "true")

    def unharmed():
        there = everything(world)
        return ("/precious" in there[0] and "precious-net" in there[1] and "precious-data" in there[2] and process.poll() is None)
    unharmed.socket = path
    try:
        yield unharmed
    finally:
        process.kill()
        process.wait()
        listener.close()
        os.unlink(path)
        for words in (("rm", "-f", "precious", "harmless"), ("network", "rm", "precious-net"), ("volume", "rm", "precious-data"), ("rmi", "-f", EVIL)):
            world.docker(*words, check=False)


@pytest.fixture(scope="module")
def lab(world):
    """An operator of real VMs. Their disk is ready."""
    lab = Lab(world)
    # The disk is made once, outside the world, from this machine's packages.
    provider = os.path.join(world_module.ROOT, "providers", "qemu", "prepare")
    done = subprocess.run([provider], env=lab.env, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr[-3000:]
    lab.image = json.loads(done.stdout)["image"]
    yield lab
    lab.bottle("vm", "destroy", "--all", timeout=120)
    kill(lab.processes())
