"""providers/gcloud, fly and linode: against stand-ins of their commands (tests/standin/bin), which keep the cloud's
state in a file."""

import os
import shutil
import subprocess
import time

import pytest

from hooks import AGAIN, CANNOT, DENIED, NOT_SET_UP, ROOT, CommandState, Vm, until

BIN = os.path.join(ROOT, "tests", "standin", "bin")


class Kind:
    """What differs between the three providers, for the tests that they share."""

    def __init__(self, provider, create, listing, destroy, machines, things, options, no_room, throttled, unwelcome):
        self.provider, self.create, self.listing, self.destroy, self.machines, self.things = provider, create, listing, destroy, machines, things
        self.options, self.no_room, self.throttled, self.unwelcome = options, no_room, throttled, unwelcome


KINDS = {kind.provider: kind for kind in (
    Kind("gcloud", "compute instances create", "compute instances list", "compute instances delete", "instances",
         {"instances": {}, "disks": {}, "rules": {}}, {"zone": "europe-west3-a"},
         "ERROR: (gcloud.compute.instances.create) Could not fetch resource:\n - Quota 'CPUS' exceeded.  Limit: 8.0 in region europe-west3.",
         "ERROR: (gcloud.compute.instances.list) HTTPError 403: Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of service",
         "ERROR: (gcloud.compute.instances.list) You do not currently have an active account selected."),
    Kind("fly", "machine run", "machine list", "machine destroy", "machines", {"machines": {}}, {"app": "my-bottles", "image": "registry.fly.io/b:1"},
         "Error: failed to launch VM: insufficient resources available to fulfill request: could not reserve resource for machine",
         "Error: failed to list VMs: failed to get VMs: unknown: Too Many Requests (Request ID: 1)",
         "Error: no access token available. Please login with 'flyctl auth login'"),
    Kind("linode", "linodes create", "linodes list", "linodes delete", "linodes", {"linodes": {}, "firewalls": {}}, {"region": "nl-ams"},
         "Request failed: 400\nerrors\n You've reached a limit on the number of active services on your account. Please contact Support",
         "Request failed: 429\nerrors\n Too many requests", "Request failed: 401\nerrors\n Invalid Token"))}


@pytest.fixture(params=list(KINDS))
def kind(request):
    return KINDS[request.param]


@pytest.fixture
def cloud(kind, tmp_path):
    cloud = CommandState(tmp_path, kind.things)
    yield cloud
    left = [(k, key) for k in kind.things for key, thing in cloud.things[k].items() if thing.get("state") != "destroyed" and not thing.get("theirs")]
    assert left == [], "left at the cloud"


@pytest.fixture
def vm(kind, cloud, tmp_path):
    return vm_of(kind, cloud, tmp_path)


def vm_of(kind, cloud, tmp_path, **kwargs):
    return Vm(kind.provider, tmp_path, env={"PATH": BIN + ":/usr/bin:/bin", "STANDIN_STATE": cloud.path}, **{**kind.options, **kwargs})


def alive(kind, cloud):
    return [m for m in cloud.things[kind.machines].values() if m.get("state") != "destroyed"]


def test_a_machine_is_created_listed_and_destroyed(kind, cloud, vm):
    cloud.change(lambda state: state["things"].update(hold=True))
    vm.create()
    assert vm.run("ssh-info").status == AGAIN and vm.status() == "pending"
    (machine,) = alive(kind, cloud)
    cloud.change(lambda state: [m.update(_held=False) for m in state["things"][kind.machines].values()])
    assert vm.create() == vm.id and len(alive(kind, cloud)) == 1, "a second create finds the first one's"
    until(lambda: vm.status() == "running", 120)
    where = vm.run("ssh-info").json
    assert where["user"] == "bottle" and where["host"] and 0 < where["port"] < 65536
    (listed,) = vm.machines()
    assert listed.pop("created").endswith("Z")
    assert listed == {"id": vm.id, "kind": "vm", "status": "running", "name": vm.name, "session": "x1", "owner": "0a1b2c3d"}
    user_data = open(vm.env["BOTTLE_USER_DATA"]).read()
    assert user_data in (machine.get("_user_data"), *machine.get("_files", {}).values())
    for entry in cloud.read()["log"]:
        assert "HOST-KEY" not in entry["cmdline"] and "SE9TVC1LRVk" not in entry["cmdline"], "the host key was in an argument"
    vm.destroy()
    assert vm.machines() == []
    assert vm.run("destroy").json == {"status": "gone"}, "already gone is success"


def test_a_lost_answer(kind, cloud, vm):
    cloud.fail(kind.create, "Error: server error 503 Service Unavailable", after=True)
    assert vm.run("create").status == AGAIN
    vm.create()
    assert len(alive(kind, cloud)) == 1
    vm.destroy()


def test_everything_of_a_killed_create_is_found(kind, cloud, vm):
    """The hook is killed while its tool runs. The tool continues alone."""
    with open(cloud.path + ".wait", "w") as f:
        f.write(kind.create)
    child = vm.start("create")
    try:
        until(lambda: os.path.exists(cloud.path + ".waits") or child.poll() is not None, 120)
        assert child.poll() is None, child.communicate()
    finally:
        child.kill()
        child.wait()
    done = vm.run("status", BOTTLE_IN_FLIGHT_SECONDS=600)
    assert done.status == AGAIN or done.json["status"] == "deleting", "never gone: %s" % done
    os.unlink(cloud.path + ".wait")
    until(lambda: alive(kind, cloud), 120)
    child.communicate()
    vm.destroy()


def test_a_slow_destroy(kind, cloud, vm):
    vm.create()
    cloud.change(lambda state: [m.update(_held=True) for m in state["things"][kind.machines].values()])
    done = vm.run("destroy", BOTTLE_DESTROY_SECONDS=0.5 if kind.provider == "gcloud" else 0)
    assert done.json == {"status": "deleting"}
    # Google says STOPPING of an instance that stops and of one that is being deleted.
    assert vm.status() == ("stopped" if kind.provider == "gcloud" else "deleting"), "not gone before the cloud says so"
    cloud.change(lambda state: [m.update(_held=False) for m in state["things"][kind.machines].values()])
    vm.destroy()


def test_a_lack_of_capacity(kind, cloud, vm):
    cloud.fail(kind.create, kind.no_room)
    done = vm.run("create")
    assert done.status == CANNOT and done.err.strip() == kind.no_room
    for left in vm.machines():
        assert left["kind"] == "firewall" and left["name"] == vm.name
        assert vm.run("destroy", BOTTLE_VM_NAME="", BOTTLE_VM_ID=left["id"]).json == {"status": "gone"}
    assert vm.status() == "gone"


@pytest.mark.parametrize("hook", ["ssh-info", "status", "destroy", "list"])
def test_errors_become_exit_statuses(kind, cloud, vm, hook):
    for words, expected in ((kind.throttled, AGAIN), ("Error: 503 Service Unavailable", AGAIN), (kind.unwelcome, DENIED)):
        cloud.fail(kind.listing, words, times=99)
        done = vm.run(hook)
        assert done.status == expected and done.out == "" and words in done.err, done


def test_a_machine_that_never_existed(kind, cloud, vm):
    for vm_id, name in (("", vm.name), ("no-such-id-0000", vm.name), ("no-such-id-0000", ""), ("a/b/c", "")):
        assert vm.run("status", BOTTLE_VM_ID=vm_id, BOTTLE_VM_NAME=name).json == {"status": "gone"}
        assert vm.run("destroy", BOTTLE_VM_ID=vm_id, BOTTLE_VM_NAME=name).json == {"status": "gone"}


def test_machines_of_others_are_left_alone(kind, cloud, vm):
    """A machine has the same name, but not our labels."""
    vm.create()
    key = next(iter(cloud.things[kind.machines]))

    def disown(state):
        thing = state["things"][kind.machines][key]
        thing.update(labels={}, tags=[], theirs=True, config={"metadata": {}})
    cloud.change(disown)
    vm.run("destroy")
    assert [m for m in alive(kind, cloud) if m.get("theirs")], "a machine that is not ours was ended"
    assert vm.machines() == [] or all(m["kind"] != "vm" for m in vm.machines())
    cloud.change(lambda state: [state["things"][k].clear() for k in kind.things])


def test_a_machine_of_another_owner_is_left_alone(kind, cloud, vm, tmp_path):
    vm.create()
    before = cloud.things
    other = vm_of(kind, cloud, tmp_path / "other", session="x1")
    other.env["BOTTLE_OWNER"] = "another"
    done = other.run("create")
    assert done.status == 1 and "another owner (bottle-owner=0a1b2c3d)" in done.err, done
    for vm_id, name in (("", vm.name), (vm.id, ""), (vm.id, vm.name)):
        assert other.run("ssh-info", BOTTLE_VM_ID=vm_id).status != 0
        assert other.run("status", BOTTLE_VM_ID=vm_id, BOTTLE_VM_NAME=name).json == {"status": "gone"}
        assert other.run("destroy", BOTTLE_VM_ID=vm_id, BOTTLE_VM_NAME=name).json == {"status": "gone"}
    for owner in ("", "0a1b2c3"):
        vm.run("destroy", BOTTLE_OWNER=owner)
    assert {k: sorted(before[k]) for k in kind.things} == {k: sorted(cloud.things[k]) for k in kind.things}
    assert vm.status() in ("running", "pending") and [m["owner"] for m in other.machines()] == ["0a1b2c3d"], "listed, whoever made it"
    vm.destroy()


def test_what_another_owner_left_is_left_alone(kind, cloud, vm, tmp_path):
    """Only firewalls are left, and their names are unique at the cloud."""
    if len(kind.things) == 1:
        pytest.skip("this provider makes only machines")
    cloud.fail(kind.create, kind.no_room)
    assert vm.run("create").status == CANNOT
    before = cloud.things
    other = vm_of(kind, cloud, tmp_path / "other")
    other.env["BOTTLE_OWNER"] = "another"
    done = other.run("create")
    assert done.status == 1 and "bottle did not make it for this owner" in done.err, done
    assert other.run("destroy").json == {"status": "gone"} and cloud.things == before
    assert vm.run("destroy", BOTTLE_IN_FLIGHT_SECONDS=0).json == {"status": "gone"}


def test_many_machines_are_listed(kind, cloud, vm, tmp_path):
    others = [vm_of(kind, cloud, tmp_path, name="bottle-y%d" % n, session="y%d" % n) for n in range(4)]
    for other in others:
        other.create()
    assert sorted(m["session"] for m in vm.machines()) == ["y0", "y1", "y2", "y3"]
    vm.run("destroy")
    assert len(vm.machines()) == 4, "another's name was meant"
    for other in others:
        other.destroy()


def test_a_provider_that_is_not_set_up(kind, cloud, vm, tmp_path):
    (tmp_path / "bin").mkdir()
    for command in ("sh", "python3"):
        (tmp_path / "bin" / command).symlink_to("/usr/bin/" + command)
    done = vm.run("create", PATH=str(tmp_path / "bin"))
    assert done.status == NOT_SET_UP and "install" in done.err
    for option in kind.options:
        done = vm.run("create", **{"BOTTLE_OPT_" + option.upper(): ""})
        assert done.status == NOT_SET_UP and option in done.err, done
    vm.destroy()


PLACES = {"gcloud": ({"CLOUDSDK_CORE_PROJECT": "project-a"}, {"CLOUDSDK_CORE_PROJECT": "project-b"}),
          "linode": ({"LINODE_CLI_TOKEN": "secret-token-a"}, {"LINODE_CLI_TOKEN": "secret-token-b"})}


@pytest.mark.parametrize("kind", list(PLACES), indirect=True)
def test_a_hook_in_another_place_never_says_gone(kind, cloud, vm):
    here, elsewhere = PLACES[kind.provider]
    vm.env.update(here)
    vm.create()
    mine = cloud.things
    assert "secret-token" not in open(os.path.join(vm.state, "place")).read()
    cloud.change(lambda state: state.update(things={**state["things"], **{k: {} for k in kind.things}}))  # the other one has none of them
    for hook in ("status", "destroy", "create"):
        done = vm.run(hook, **elsewhere)
        assert done.status == NOT_SET_UP and done.out == "" and "the VM was made with" in done.err, done
        assert "secret-token" not in done.err
    cloud.change(lambda state: state.update(things=mine))
    assert vm.status() in ("running", "pending")
    vm.destroy()


@pytest.mark.parametrize("kind", ["linode"], indirect=True)
def test_a_new_token_of_the_same_account_destroys_the_vm(kind, cloud, vm):
    vm.env.update(PLACES["linode"][0])
    vm.create()
    vm.env.update(PLACES["linode"][1])
    vm.destroy()


@pytest.mark.parametrize("kind", ["gcloud"], indirect=True)
def test_the_project_of_the_configuration_counts(kind, cloud, vm):
    cloud.change(lambda state: state.update(project="project-a"))
    vm.create()
    mine = cloud.things
    cloud.change(lambda state: state.update(project="project-b", things={**state["things"], **{k: {} for k in kind.things}}))
    done = vm.run("destroy")
    assert done.status == NOT_SET_UP and "project project-a" in done.err and "project project-b" in done.err, done
    cloud.change(lambda state: state.update(things=mine))
    vm.run("destroy", BOTTLE_OPT_PROJECT="project-a")
    vm.env["BOTTLE_OPT_PROJECT"] = "project-a"
    vm.destroy()


@pytest.mark.parametrize("kind", ["gcloud"], indirect=True)
def test_a_clock_that_was_set_back_does_not_hide_a_create_under_way(kind, cloud, vm):
    mark = os.path.join(vm.state, "create-under-way")
    open(mark, "w").close()
    for ahead in (10, 3600):
        os.utime(mark, (time.time() + ahead,) * 2)
        assert vm.run("status").status == AGAIN
    os.unlink(mark)


@pytest.mark.parametrize("kind", ["gcloud"], indirect=True)
def test_a_vm_of_an_earlier_version_has_no_recorded_place(kind, cloud, vm):
    vm.env["CLOUDSDK_CORE_PROJECT"] = "project-a"
    vm.create()
    os.unlink(os.path.join(vm.state, "place"))
    vm.destroy()


# ---- what only one cloud supports

@pytest.mark.parametrize("kind", ["gcloud"], indirect=True)
def test_gcloud_limits(kind, cloud, vm):
    vm.create()
    (machine,) = cloud.things["instances"].values()
    asked = machine["_asked"]
    assert asked["--max-run-duration"] == "7800s" and asked["--instance-termination-action"] == "DELETE"
    assert asked["--no-service-account"] and asked["--no-scopes"] and asked["--machine-type"] == "e2-medium" and asked["--boot-disk-size"] == "20GB"
    rules = {name: rule["_asked"] for name, rule in cloud.things["rules"].items()}
    assert rules[vm.name + "-ssh"]["--allow"] == "tcp:22" and rules[vm.name + "-deny"]["--action"] == "DENY"
    assert int(rules[vm.name + "-ssh"]["--priority"]) < int(rules[vm.name + "-deny"]["--priority"])
    assert {rule["--target-tags"] for rule in rules.values()} == {vm.name} == {asked["--tags"]}
    cloud.change(lambda state: state["things"].update(keep_disk=True))
    disk = cloud.things["disks"]["europe-west3-a/" + vm.name]
    assert disk["labels"]["bottle-session"] == "x1"
    cloud.change(lambda state: state["things"]["instances"].clear())
    assert sorted(m["kind"] for m in vm.machines()) == ["firewall", "firewall", "volume"] and vm.status() == "deleting"
    for left in vm.machines():
        assert vm.run("destroy", BOTTLE_VM_NAME="", BOTTLE_VM_ID=left["id"]).json == {"status": "gone"}


@pytest.mark.skipif(not shutil.which("gcloud", path="/usr/bin:/bin"), reason="the real gcloud is not on this machine")
@pytest.mark.parametrize("kind", ["gcloud"], indirect=True)
def test_the_real_gcloud_accepts_every_flag(kind, cloud, vm, tmp_path):
    """The real gcloud parses the arguments that the stand-in got, in a network namespace without a way out, and stops
    because there is no account."""
    vm.create()
    vm.destroy()
    seen = {}
    for entry in cloud.read()["log"]:
        if entry["subcommand"] == "config get-value":  # it needs no account
            continue
        seen.setdefault((entry["subcommand"], tuple(sorted(a.partition("=")[0] for a in entry["argv"] if a[0] == "-"))), entry["argv"])
    assert len(seen) >= 8
    for argv in seen.values():
        argv = [a.replace("--project=x", "") for a in argv] + ["--project=stand-in"]
        done = subprocess.run(["unshare", "--net", "--map-root-user", "gcloud", *argv], capture_output=True, text=True, timeout=120, env={
            "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "CLOUDSDK_CONFIG": str(tmp_path / "config"), "CLOUDSDK_CORE_CHECK_GCE_METADATA": "false",
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true"})
        assert "active account" in done.stderr, "%s\n%s" % (argv, done.stderr)
        assert "unrecognized" not in done.stderr


@pytest.mark.parametrize("kind", ["fly"], indirect=True)
def test_fly_limits(kind, cloud, vm, tmp_path):
    vm.create()
    other = vm_of(kind, cloud, tmp_path, name="bottle-x2")
    other.create()
    (machine, second) = alive(kind, cloud)
    asked = machine["_asked"]
    assert machine["config"]["auto_destroy"] and asked["--restart"] == "no" and asked["--autostart"] == "false"
    assert (asked["--vm-cpus"], asked["--vm-memory"], asked["--rootfs-size"]) == ("2", "4096", "20")
    assert len(asked["--port"]) == 1 and asked["--port"][0].endswith(":22/tcp") and asked["--port"] != second["_asked"]["--port"]
    until(lambda: vm.run("ssh-info").status == 0, 120)
    assert vm.run("ssh-info").json == {"host": "my-bottles.fly.dev", "port": int(asked["--port"][0].split(":")[0]), "user": "bottle"}
    vm.destroy()
    other.destroy()


@pytest.mark.parametrize("kind", ["linode"], indirect=True)
def test_linode_limits(kind, cloud, vm):
    vm.create()
    (machine,), (firewall,) = cloud.things["linodes"].values(), cloud.things["firewalls"].values()
    assert machine["_asked"]["--firewall_id"] == str(firewall["id"]) and machine["_asked"]["--root_pass"] == ""
    assert firewall["_asked"]["--rules.inbound_policy"] == "DROP"
    (rule,) = firewall["rules"]["inbound"]
    assert (rule["action"], rule["protocol"], rule["ports"]) == ("ACCEPT", "TCP", "22")
    assert sorted(machine["tags"]) == ["bottle-owner:0a1b2c3d", "bottle-session:x1", "bottle-vm:bottle-x1"] == sorted(firewall["tags"])
    vm.destroy()
