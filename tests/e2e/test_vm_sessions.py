"""Tests sessions on VMs that take a second to create (tests/world/quick), while the processes around the VM fail in
every way."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

import world as world_module
from operators import Operator
from test_remote import supervisor_of
from test_remote_near import Lines
from test_remote_secrets import ASK, EGRESS, SECRET, files_with, forms, in_memory, name_of

HOSTS = {**{name: ip + ":443" for name, ip in world_module.SITES.items()}, "api.anthropic.com": world_module.API_IP + ":443"}
QUICK = os.path.join(world_module.HERE, "quick", "hooks.py")


class Cloud:
    """The provider `quick` of an operator, and its VMs."""

    def __init__(self, operator, image=None):
        self.operator, self.world, self.image = operator, operator.world, image
        self.vms = self.world.path("vms")
        self.since = time.time()
        where = os.path.join(operator.home, ".config", "bottle", "providers", "quick")
        os.makedirs(where)
        for hook in ("create", "ssh-info", "status", "destroy", "list", "put-secret", "bake"):
            self.write(where, hook)
        self.where = where
        self.env = {"XDG_RUNTIME_DIR": os.path.join(operator.home, "run")}
        os.makedirs(self.env["XDG_RUNTIME_DIR"], mode=0o700)

    @staticmethod
    def write(where, hook, text=None):
        with open(os.path.join(where, hook), "w") as file:
            file.write(text or '#!/bin/sh\nexec %s -B %s "$0"\n' % (sys.executable, QUICK))
        os.chmod(os.path.join(where, hook), 0o755)

    def config(self, options=None, vm=None, **bottle):
        config = self.operator.config(**bottle)
        options = {**({"image": self.image} if self.image else {}), **(options or {})}
        config["vms"] = {"lab": {"provider": "quick", "ttl": "20m", "idle": "20m", **(vm or {}),
                                 "options": {"world": self.world.dir, "net": self.world.net_ns, **options}}}
        return config

    def start(self, script, *args, env=None, options=None, vm=None, timeout=120, wait=True, token=True, **bottle):
        argv = ("start", "a", "--yes", "--headless", "--json", "-p", '[ "$BOTTLE_TEST" = inside ] || exit 99\n' + script, "--vm", "lab", *args)
        config, env = self.config(options, vm, **bottle), {**self.env, **(env or {})}
        if wait:
            return self.operator.bottle(*argv, config=config, env=env, timeout=timeout, token=token)
        return subprocess.Popen(self.world.command(*argv), cwd=self.operator.workspace, env={**self.world.environment(config, self.operator.home, token), **env},
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def bottle(self, *args, **options):
        return self.operator.bottle(*args, env=self.env, **options)

    def there(self):
        return sorted(os.listdir(self.vms)) if os.path.isdir(self.vms) else []

    def records(self):
        path = os.path.join(self.world.state(self.operator.home), "vms")
        return sorted(os.listdir(path)) if os.path.isdir(path) else []

    def calls(self):
        return [call["hook"] for call in world_module.read_jsonl(self.world.path("vm-calls.jsonl")) if call["time"] >= self.since]

    def nothing_left(self):
        return not self.there() and not self.records() and not self.operator.sessions()

    def left(self):
        return {"vms": self.there(), "records": self.records(), "sessions": self.operator.sessions()}


@pytest.fixture(scope="module")
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
    left = cloud.left()
    if any(left.values()):
        cloud.bottle("vm", "destroy", "--all", config=cloud.config())
        cloud.bottle("cleanup", config=cloud.config())
        shutil.rmtree(cloud.vms, ignore_errors=True)
    assert not any(left.values()), left


def result(done):
    return [json.loads(line) for line in done.stderr.splitlines() if '"receipt"' in line][-1]


def worktree(operator):
    refs = operator.git("for-each-ref", "--format=%(refname)", "refs/bottle").split()
    return [ref for ref in refs if ref.endswith("/worktree")]


def test_a_vm_is_made_used_and_destroyed(cloud):
    done = cloud.start("echo made >made.txt; curl -sS https://allowed.example.org/; exit 6")
    assert done.returncode == 6, done.stderr
    assert "allowed.example.org" in done.stdout
    (ref,) = worktree(cloud.operator)
    assert cloud.operator.git("show", ref + ":made.txt") == "made\n"
    vm = result(done)["receipt"]["vm"]
    assert vm["confirmed"] and vm["provider"] == "quick", vm


def test_a_baked_vm_contains_engine_images_and_program(cloud):
    """The fixture `baked` bakes the disk. Neither the program nor an image is sent again."""
    done = cloud.start("true")
    assert done.returncode == 0, done.stderr
    assert "sending" not in done.stderr and '"event":"vm"' in done.stderr, done.stderr


def test_nothing_runs_if_a_baked_disk_lacks_something(operator, until):
    """A start from a baked disk begins without asking what is on the disk. If the disk lacks something, nothing
    runs."""
    cloud = Cloud(operator)  # whose manifest names no image
    done = cloud.bottle("vm", "bake", "lab", "--json", config=cloud.config())
    assert done.returncode == 0, done.stderr
    image = json.loads(done.stdout)["image"]
    try:
        done = cloud.start("cat; echo ran", secrets=SECRET, egress=EGRESS)
        assert done.returncode == 0 and done.stdout == "ran\n" and "sending" not in done.stderr, done.stderr
        for lost in ("home/.cache", "docker/image"):
            os.rename(os.path.join(image, lost), os.path.join(image, "lost"))
            done = cloud.start("echo ran", secrets=SECRET, egress=EGRESS)
            assert done.returncode == 125 and done.stdout == "" and "bottle vm bake" in done.stderr, done.stderr
            assert until(cloud.nothing_left, 20), cloud.left()
            os.rename(os.path.join(image, "lost"), os.path.join(image, lost))
        leads_back(cloud.start("echo ran", secrets=SECRET, egress=EGRESS, env={"QUICK_LINK": "wg0 10.99.0.2/24"}), "wg0")
        assert until(cloud.nothing_left, 20), cloud.left()
    finally:
        shutil.rmtree(image)


@contextlib.contextmanager
def lan(world, *addresses):
    """Puts the operator's machine into these networks, too."""
    run = world_module.run
    run("ip", "-n", world.host_ns, "link", "add", "br-lan", "type", "veth", "peer", "name", "lan7p")
    try:
        for address in addresses:
            run("ip", "-n", world.host_ns, "addr", "add", address, "dev", "br-lan", *(["nodad"] if ":" in address else []))
        for device in ("br-lan", "lan7p"):
            run("ip", "-n", world.host_ns, "link", "set", device, "up")
        yield
    finally:
        run("ip", "-n", world.host_ns, "link", "del", "br-lan", check=False)


def leads_back(done, word):
    errors = [json.loads(line)["error"] for line in done.stderr.splitlines() if line.startswith('{"error"')]
    assert done.returncode == 125 and done.stdout == "" and errors, done.stderr
    assert errors[-1]["code"] == "denied" and word in errors[-1]["what"] and "--allow-vpn" in errors[-1]["todo"], errors
    assert '"running"' not in done.stderr, done.stderr


@pytest.mark.parametrize("link, word", [("wg0 10.99.0.2/24", "wg0"), ("up1 10.77.0.2/24", "10.77.0.0/24"), ("br-ex fd00:77::2/64", "fd00:77::/64")])
def test_a_vm_that_can_reach_the_operators_machine_is_refused(cloud, until, link, word):
    env = {"QUICK_LINK": link}
    with lan(cloud.world, "10.77.0.9/24", "fd00:77::9/64"):
        leads_back(cloud.start("echo ran", "--token-via", "provider", secrets=SECRET, egress=EGRESS, env=env), word)
        assert "put-secret" not in cloud.calls(), "a secret went to it"
        assert until(cloud.nothing_left, 20), cloud.left()
        if word == "wg0":
            done = cloud.start("echo ran", "--allow-vpn", env=env)
        else:
            done = cloud.start("echo ran", env=env, vm={"allow_vpn": True})
        assert done.returncode == 0 and done.stdout == "ran\n", done.stderr


def test_a_vm_without_a_network_cannot_reach_the_operators_machine(cloud):
    with lan(cloud.world, "10.77.0.9/24"):
        done = cloud.start("echo ran", options={"network": "none"}, env={"QUICK_LINK": "up1 10.77.0.2/24"}, egress={"hosts": HOSTS})
        assert done.returncode == 0 and done.stdout == "ran\n", done.stderr


def test_requests_of_a_vm_without_a_network_go_through_the_near_side(cloud, until):
    """Nothing that the VM starts gets out of it. The guard's connections go through the near side, and `bottle allow`
    applies on both sides."""
    process = cloud.start("curl -sS https://allowed.example.org/ -o /dev/null -w 'first %{http_code}\\n'\n"
                          "for i in $(seq 60); do curl -sS -m 5 -o /dev/null -w 'then %{http_code}\\n' https://inspected.example.org/; sleep 0.5; done",
                          wait=False, options={"network": "none", "sealed": "1"},
                          egress={"hosts": HOSTS})
    output = Lines(process)
    try:
        assert until(lambda: output.count("first 200"), 60), (output.lines, process.poll())
        assert not output.count("then 200")
        (session,) = cloud.operator.sessions()
        done = cloud.bottle("allow", session, "inspected.example.org")
        assert done.returncode == 0, done.stderr
        assert until(lambda: output.count("then 200"), 20), output.lines
        vm = json.load(open(os.path.join(cloud.vms, cloud.there()[0], "vm.json")))
        refused = world_module.run("nsenter", "--net=/run/netns/" + vm["ns"], "--", "iptables", "-w", "-nvxL", "OUTPUT").stdout
        assert "DROP" in refused, refused
        legs = [line for line in world_module.run("ip", "-n", vm["ns"], "-br", "link", "show", "type", "veth").stdout.splitlines() if line.startswith("veth")]
        assert len(legs) == 2, "the agent's and the guard's, which is not on an egress bridge: " + str(legs)
    finally:
        cloud.bottle("stop", *cloud.operator.sessions())
        process.communicate(timeout=60)
        output.thread.join()


def test_a_session_on_a_vm_without_a_network_can_be_attached_to(cloud, until):
    """The near supervisor, which carries all of the VM's traffic, is killed, and so is the reaper, as on a laptop that
    loses power. `bottle attach` continues the session."""
    process = cloud.start("for i in $(seq 120); do curl -sS -m 5 -o /dev/null https://allowed.example.org/again; sleep 0.5; done", wait=False,
                          options={"network": "none", "sealed": "1"}, egress={"hosts": HOSTS})
    asked = lambda: len([r for r in cloud.world.seen("allowed.example.org", cloud.since) if r["path"] == "/again"])  # noqa: E731
    joined = None
    try:
        assert until(lambda: asked() >= 2 or process.poll() is not None, 60) and process.poll() is None, process.communicate()
        _, supervisor = supervisor_of(cloud.operator)
        for pid in (*reapers(cloud), supervisor):
            os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=30)
        time.sleep(1)
        before = asked()
        joined = subprocess.Popen(cloud.world.command("attach"), cwd=cloud.operator.workspace, env={**cloud.world.environment(None, cloud.operator.home), **cloud.env},
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert until(lambda: asked() >= before + 2 or joined.poll() is not None, 60) and joined.poll() is None, joined.communicate()
    finally:
        cloud.bottle("stop", *cloud.operator.sessions())
        if joined:
            joined.communicate(timeout=60)


class VmSide:
    """The VM of a session: all places that hold a value, except memory, on it and in the operator's state."""

    def __init__(self, cloud):
        self.cloud, (name,) = cloud, cloud.there()
        self.directory = os.path.join(cloud.vms, name)
        self.vm = json.load(open(os.path.join(self.directory, "vm.json")))

    def processes(self):
        parents = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                parents[int(pid)] = int(open("/proc/%s/stat" % pid).read().rpartition(")")[2].split()[1])
            except OSError:
                pass
        known = {self.vm["pid"]}
        while more := {pid for pid, parent in parents.items() if parent in known and pid not in known}:
            known |= more
        return known

    def places(self, value):
        found, needles = [], forms(value)
        for pid in self.processes():
            for part in ("cmdline", "environ"):
                try:
                    if any(n in open("/proc/%d/%s" % (pid, part), "rb").read() for n in needles):
                        found.append("%s of %s" % (part, name_of(pid)))
                except OSError:
                    pass
        return found + files_with(needles, self.directory, self.cloud.operator.home, self.cloud.operator.workspace)

    def holders(self, value):
        return {name_of(pid) for pid in self.processes() if in_memory(pid, [value.encode()])}


WAYS = {"job": [], "store": ["--token-via", "provider"], "sendenv": ["--token-via", "sendenv"], "file": ["--token-file", "~/token"], "tunnel": ["--secrets", "tunnel"]}


@pytest.mark.parametrize("way", WAYS)
def test_where_the_token_is_kept(cloud, until, way):
    since, token, options = time.time(), cloud.world.token, {}
    if way == "file":
        options["deliver"] = cloud.world.path("token")
    egress = {**EGRESS, "hosts": HOSTS}  # the near side does not use the world's name server
    process = cloud.start(ASK + "; sleep 300", *WAYS[way], wait=False, options=options, secrets=SECRET, egress=egress, token=way != "file")
    try:
        assert until(lambda: cloud.world.seen("inspected.example.org", since) or process.poll() is not None, 60)
        assert process.poll() is None, process.communicate()
        side = VmSide(cloud)
        holders, places = side.holders(token), side.places(token)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert [r["headers"].get("Authorization") for r in cloud.world.seen("inspected.example.org", since)] == ["Bearer " + token]
    assert places == [] and token not in out + err, places
    assert ("guard" in holders) == (way != "tunnel"), holders
    assert ("put-secret" in cloud.calls()) == (way == "store")
    assert files_with(forms(token), cloud.operator.home) == []


def test_a_provider_that_cannot_keep_a_secret(cloud):
    for text, why in ((None, "cannot store secrets"), ('#!/bin/sh\nprintf \'{"fetch":"echo %s"}\' "$(cat)"\n', "contains the value itself"),
                      ("#!/bin/sh\necho {}\n", "the answer has no text")):
        if text:
            cloud.write(cloud.where, "put-secret", text)
        else:
            os.unlink(os.path.join(cloud.where, "put-secret"))
        done = cloud.start("true", "--token-via", "provider", secrets=SECRET, egress=EGRESS)
        assert done.returncode == 125 and why in done.stderr and cloud.world.token not in done.stderr, done.stderr
        assert cloud.nothing_left(), cloud.left()
        assert text or "create" not in cloud.calls(), "known before anything is made"


# -- hooks that fail

FAULTS = {"create-garbage": "instead of one JSON object", "create-half": "the power went", "create-quota": "no room for another", "ssh-info-garbage": "is not a valid place to sign in"}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_hook_leaves_nothing(cloud, until, fault):
    done = cloud.start("echo ran", options={"fault": fault})
    assert done.returncode == 125 and FAULTS[fault] in done.stderr and "ran" not in done.stdout, done.stderr
    assert until(cloud.nothing_left, 20), cloud.left()
    assert not os.path.exists("/tmp/pwned")


def test_a_hanging_create_ends_with_its_launcher(cloud, until):
    process = cloud.start("echo ran", wait=False, options={"fault": "create-hangs"})
    assert until(lambda: "create" in cloud.calls(), 20)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert until(cloud.nothing_left, 40), cloud.left()


def test_a_false_answer_of_destroy_is_detected(cloud, until):
    done = cloud.start("true", options={"fault": "destroy-lies"}, wait=False)
    try:
        assert until(lambda: cloud.calls().count("destroy") >= 2, 60), "it is asked again"
        assert cloud.there() and "status" in cloud.calls()
    finally:
        # The hook stops lying, and the next call does what it reports.
        for hook in ("destroy",):
            cloud.write(cloud.where, hook, '#!/bin/sh\nBOTTLE_OPT_FAULT= exec %s -B %s "$0"\n' % (sys.executable, QUICK))
        out, err = done.communicate(timeout=90)
    vm = json.loads([line for line in err.splitlines() if '"receipt"' in line][-1])["receipt"]["vm"]
    assert done.returncode == 0 and vm["confirmed"] and vm["calls"] >= 3, vm


def test_a_postponed_destroy_is_retried(cloud):
    done = cloud.start("true", options={"fault": "destroy-again"})
    assert done.returncode == 0 and result(done)["receipt"]["vm"]["confirmed"], done.stderr
    assert cloud.calls().count("destroy") >= 3


def test_the_contract(cloud):
    """Runs `bottle provider test` for this provider."""
    done = cloud.bottle("provider", "test", "quick", "--set", "world=" + cloud.world.dir, "--set", "net=" + cloud.world.net_ns, "--json", config=cloud.config(), timeout=120)
    told = json.loads(done.stdout)
    assert done.returncode == 0, [check for check in told["checks"] if not check["ok"]]


# -- the end of its time

def margin(ttl):
    """Returns how many seconds before the end of a VM's time its near side fetches the work (Deadlines::vm_ends_at)."""
    return max(5, ttl // 10)


def with_little_time(cloud, until, begin):
    """Returns what `begin` returns for a session on a VM whose time ends soon. On a busy machine, the end may come
    first; `begin` then returns nothing and gets more time."""
    for ttl in (25, 50, 100):
        begun = begin(ttl)
        if begun:
            return ttl, begun
        assert until(cloud.nothing_left, 120), cloud.left()
    pytest.fail("the end of its time came first")


def record_of(cloud):
    (name,) = cloud.records()
    return json.load(open(os.path.join(cloud.world.state(cloud.operator.home), "vms", name, "vm.json")))


def test_a_vm_is_destroyed_when_its_time_is_up(cloud, until):
    """The VM's TTL ends it: it removes its containers and powers off, although its owner is alive and nothing on the
    near side acts."""
    def begin(ttl):
        process = cloud.start(WORK, wait=False, vm={"ttl": "%ds" % ttl})
        if until(lambda: has_worked(cloud) or process.poll() is not None, ttl) and process.poll() is None and cloud.records():
            record = record_of(cloud)
            owner = record["owner_process"]["pid"]
            for pid in reapers(cloud):
                os.kill(pid, signal.SIGKILL)
            os.kill(owner, signal.SIGSTOP)
            if record["until"] - time.time() > margin(ttl) + 1:
                return process, owner
            os.kill(owner, signal.SIGCONT)
        process.communicate(timeout=120)
        return None

    ttl, (process, owner) = with_little_time(cloud, until, begin)
    side = VmSide(cloud)
    assert until(lambda: not os.path.exists("/proc/%d" % side.vm["pid"]), ttl + 90), "it powers off"
    docker = os.path.join(side.directory, "docker")
    assert os.listdir(os.path.join(docker, "volumes")) == [] if os.path.isdir(os.path.join(docker, "volumes")) else True
    assert not os.path.isdir(os.path.join(docker, "containers")) or os.listdir(os.path.join(docker, "containers")) == []
    os.kill(owner, signal.SIGKILL)
    process.kill()
    process.communicate()
    done = cloud.bottle("cleanup", config=cloud.config())
    assert until(cloud.nothing_left, 60), (cloud.left(), done.stderr)


def test_the_work_comes_home_before_the_time_of_a_vm_is_up(cloud, until):
    def begin(ttl):
        done = cloud.start("while :; do date +%s >last; sync; sleep 1; done", vm={"ttl": "%ds" % ttl}, timeout=ttl + 120)
        return done if '"event":"running"' in done.stderr else None

    ttl, done = with_little_time(cloud, until, begin)
    assert done.returncode != 0 and "is nearly up" in done.stderr, done.stderr
    receipt = result(done)["receipt"]
    assert receipt["confirmed"] and receipt["vm"]["confirmed"], receipt
    (ref,) = worktree(cloud.operator)
    last = int(cloud.operator.git("show", ref + ":last"))
    assert 0 <= receipt["vm"]["made"] + ttl - margin(ttl) - last < 5, "it worked until then, and nothing was lost"
    assert until(cloud.nothing_left, 30), cloud.left()


def test_a_kept_vm_stays_until_vm_destroy(cloud, until):
    done = cloud.start("echo made >made.txt", "--keep")
    assert done.returncode == 0 and came_home(cloud), done.stderr
    assert result(done)["receipt"]["vm"]["kept"]
    (name,) = cloud.there()
    assert cloud.bottle("cleanup", config=cloud.config()).returncode == 0
    assert cloud.there() == [name] and cloud.records() == [name]
    assert cloud.bottle("vm", "destroy", name, config=cloud.config()).returncode == 0
    assert until(cloud.nothing_left, 30), cloud.left()


def test_a_vm_whose_start_fails_is_not_kept(cloud):
    done = cloud.start("true", "--keep", options={"fault": "ssh-info-garbage"})
    assert done.returncode == 125 and not cloud.there() and not cloud.records(), (done.stderr, cloud.left())


def test_a_vm_that_becomes_unreachable_while_the_agent_runs(cloud, until):
    """After the gate is open, the VM can no longer be reached. It ends by its own clock, and its start says what was
    lost."""
    def begin(ttl):
        process = cloud.start("sleep 300", wait=False, vm={"ttl": "%ds" % ttl})
        output = Lines(process, process.stderr)
        if until(lambda: output.said('"event":"running"') or process.poll() is not None, ttl) and process.poll() is None and cloud.records():
            record = record_of(cloud)
            answer_ssh(cloud, record["name"], False)
            if record["until"] - time.time() > margin(ttl) + 1:
                return process, output
        process.wait(ttl + 120)
        output.thread.join()
        return None

    ttl, (process, output) = with_little_time(cloud, until, begin)
    assert until(lambda: process.poll() is not None, ttl + 90), (output.lines, cloud.left())
    output.thread.join()
    assert process.returncode == 125 and output.said("is gone, and so is the work that was not fetched") and not output.said("may still exist"), output.lines
    assert until(cloud.nothing_left, 60), cloud.left()


# -- the process that made the VM dies

WORK = "echo made >made.txt; sync; touch /run/bottle/worked; sleep 300"


def has_worked(cloud):
    return any("made.txt" in files for name in cloud.there() for _, _, files in os.walk(os.path.join(cloud.vms, name, "docker", "volumes")))


def working(cloud, until):
    """Waits until the agent has done its work."""
    return until(lambda: has_worked(cloud), 60)


def reapers(cloud):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = open("/proc/%s/cmdline" % pid, errors="replace").read().split("\0")
            if words[1:2] == ["reap"] and "HOME=" + cloud.operator.home in open("/proc/%s/environ" % pid, errors="replace").read():
                found.append(int(pid))
        except OSError:
            pass
    return found


def came_home(cloud):
    return [ref for ref in worktree(cloud.operator) if "made.txt" in cloud.operator.git("ls-tree", "--name-only", ref)]


@pytest.mark.parametrize("record", range(1, 10))
def test_kill_of_the_supervisor_at_every_record(cloud, until, record):
    """The records are: owner, job, VM, its address, the base of the work, values sent, agent runs, ended, home."""
    done = cloud.start(WORK if record < 8 else "echo made >made.txt", env={"BOTTLE_TEST_KILL_AT_RECORD": str(record)})
    # A start that fails for another reason ends with the same status.
    assert done.returncode == 125 and "supervisor closed the connection" in done.stderr, done.stderr
    if not until(cloud.nothing_left, 5 if not cloud.records() else 60):
        done = cloud.bottle("start", "a", "--yes", "--headless", "-p", "true", config=cloud.config())  # the next command, which may be any
        assert done.returncode == 0, done.stderr
        assert until(cloud.nothing_left, 60), cloud.left()
    assert until(lambda: not reapers(cloud), 10)
    assert record < 8 or came_home(cloud), done.stderr


def test_kill_of_everything_then_the_next_command_brings_the_work_home(cloud, until):
    process = cloud.start(WORK, wait=False)
    assert working(cloud, until), process.communicate()[1]
    (name,) = cloud.records()
    for pid in [*reapers(cloud), record_of(cloud)["owner_process"]["pid"], process.pid]:
        os.kill(pid, signal.SIGKILL)
    process.communicate()
    assert cloud.there() == [name] and not came_home(cloud)
    done = cloud.bottle("start", "a", "--yes", "--headless", "-p", "true", config=cloud.config())
    assert done.returncode == 0 and "VM " + name + " has lost its owner" in done.stderr, done.stderr
    assert until(cloud.nothing_left, 60), cloud.left()
    assert came_home(cloud)


def answer_ssh(cloud, name, answers):
    ns = json.load(open(os.path.join(cloud.vms, name, "vm.json")))["ns"]
    world_module.run("nsenter", "--net=/run/netns/" + ns, "--", "iptables", "-w", "-D" if answers else "-I", "INPUT", "-p", "tcp", "--dport", "22", "-j", "REJECT",
                     "--reject-with", "tcp-reset")


def test_a_vm_is_held_while_its_work_cannot_be_fetched(cloud, until):
    process = cloud.start(WORK, wait=False)
    assert working(cloud, until), process.communicate()[1]
    (name,) = cloud.records()
    record = os.path.join(cloud.world.state(cloud.operator.home), "vms", name, "vm.json")
    answer_ssh(cloud, name, False)
    os.kill(json.load(open(record))["owner_process"]["pid"], signal.SIGKILL)
    process.communicate()
    assert until(lambda: json.load(open(record))["held"], 180), cloud.left()
    assert cloud.there() == [name] and reapers(cloud)
    answer_ssh(cloud, name, True)
    done = cloud.bottle("cleanup", config=cloud.config())
    assert done.returncode == 0, done.stderr
    assert until(cloud.nothing_left, 30), cloud.left()
    assert came_home(cloud)


def test_cleanup_holds_a_vm_whose_work_it_cannot_fetch(cloud, until):
    """All processes on the near side are dead, and the VM's sshd does not answer. `bottle cleanup` does not destroy the
    work that it cannot fetch, and says so."""
    process = cloud.start(WORK, wait=False)
    assert working(cloud, until), process.communicate()[1]
    (name,) = cloud.records()
    answer_ssh(cloud, name, False)
    for pid in [*reapers(cloud), supervisor_of(cloud.operator)[1], process.pid]:
        os.kill(pid, signal.SIGKILL)
    process.communicate()
    session = name.partition("-")[2]
    held = "VM %s holds work of session %s that could not be fetched" % (name, session)
    done = cloud.bottle("cleanup", config=cloud.config(), timeout=180)
    assert done.returncode == 125 and held in done.stderr, done.stderr
    assert cloud.there() == [name] and reapers(cloud), "one that destroys it once its time is up"
    (vm,) = json.loads(cloud.bottle("vm", "list", "--json", config=cloud.config()).stdout)
    assert vm["state"] == "held" and 0 < vm["ends_in"] < 1200, vm
    heading, row = cloud.bottle("vm", "list", config=cloud.config()).stdout.splitlines()
    shown = {column: row[heading.index(column):].split("  ")[0] for column in ("VM", "STATE", "SESSION", "AGE", "ENDS IN", "COST/H")}
    assert shown.pop("AGE").endswith((" s", " min")) and shown.pop("ENDS IN").endswith(" min"), row
    assert shown == {"VM": name, "STATE": "held", "SESSION": session, "COST/H": "0.001 USD"}
    done = cloud.bottle("start", "a", "--yes", "--headless", "-p", "true", config=cloud.config())
    assert done.returncode == 0 and done.stderr.count(held) == 1, done.stderr
    answer_ssh(cloud, name, True)
    done = cloud.bottle("cleanup", config=cloud.config())
    assert done.returncode == 0, done.stderr
    assert until(cloud.nothing_left, 30), cloud.left()
    assert came_home(cloud)
