"""providers/hcloud: the real `hcloud` command of Debian, against a stand-in of the API on 127.0.0.1 (tests/standin/hcloud_api.py)."""

import threading

import pytest

from hcloud_api import TOKEN, HcloudApi
from hooks import AGAIN, CANNOT, DENIED, NOT_SET_UP, Vm, have, killed_at, until

pytestmark = pytest.mark.skipif(not have("hcloud"), reason="hcloud is not installed (scripts/setup does it)")
MADE = ("servers", "firewalls", "ssh_keys", "volumes", "primary_ips")


@pytest.fixture
def api():
    with HcloudApi() as api:
        yield api
        api.grow()
        left = [(kind, thing["name"]) for kind in MADE for thing in api.things[kind].values()]
    assert left == [], "left at the cloud"


@pytest.fixture
def vm(api, tmp_path):
    return Vm("hcloud", str(tmp_path), env={"HCLOUD_TOKEN": TOKEN, "HCLOUD_ENDPOINT": api.url + "/v1"})


def test_a_machine_is_created_listed_and_destroyed(api, vm):
    api.start_seconds, api.end_seconds = 3600, 1
    created = vm.run("create").json
    vm.id = created["id"]
    assert created["cost_per_hour"] == "0.0060 EUR", "the cheapest that fits and is still sold"
    assert vm.status() == "pending" and vm.run("ssh-info").status == AGAIN
    api.start_seconds = 0

    (server,), (firewall,), (key,) = (list(api.things[kind].values()) for kind in MADE[:3])
    assert server["_asked"]["user_data"] == open(vm.env["BOTTLE_USER_DATA"]).read()
    assert server["server_type"]["name"] == "fit3" and server["image"]["name"] == "debian-12"
    assert [f["firewall"] for f in server["_asked"]["firewalls"]] == [firewall["id"]]
    assert [(r["direction"], r["protocol"], r["port"], r["source_ips"]) for r in firewall["rules"]] == [("in", "tcp", "22", ["0.0.0.0/0", "::/0"])]
    assert key["public_key"].strip() == open(vm.env["BOTTLE_SSH_PUBLIC_KEY"]).read().strip()
    for thing in (server, firewall, key):
        assert thing["labels"] == {"bottle-vm": vm.name, "bottle-session": "x1", "bottle-owner": "0a1b2c3d"}

    assert vm.create() == str(server["id"]) and len(api.things["servers"]) == 1, "a second create finds the first one's"
    assert vm.run("ssh-info").json == {"host": "203.0.113.7", "port": 22, "user": "bottle"}
    (machine,) = vm.machines()
    assert machine.pop("created").endswith("Z")
    assert machine == {"id": vm.id, "kind": "vm", "status": "running", "name": vm.name, "session": "x1", "owner": "0a1b2c3d"}

    assert vm.run("destroy").json == {"status": "gone"}
    assert vm.status() == "gone" and vm.machines() == []
    assert vm.run("destroy").json == {"status": "gone"}, "already gone is success"


def test_a_slow_destroy_and_an_address_that_stays(api, vm):
    vm.create()
    api.end_seconds, api.keep_address = 3600, True
    assert vm.run("destroy", BOTTLE_DESTROY_SECONDS=0).json == {"status": "deleting"}
    assert vm.status() == "deleting", "not gone before the cloud says so"
    api.end_seconds = 0
    api.grow()
    assert not api.things["servers"] and len(api.things["primary_ips"]) == 2
    api.things["firewalls"].clear()
    api.things["ssh_keys"].clear()
    assert vm.status() == "deleting", "addresses are left"
    vm.destroy()


def test_everything_of_a_killed_create_is_found(api, vm):
    goes_on = threading.Event()
    api.fail("servers create", until=goes_on)
    killed_at(vm, api, "servers create")
    firewalls, keys = dict(api.things["firewalls"]), dict(api.things["ssh_keys"])
    api.things["firewalls"], api.things["ssh_keys"] = {}, {}  # only the mark of the killed create identifies it
    done = vm.run("status", BOTTLE_IN_FLIGHT_SECONDS=600)
    assert done.status == AGAIN and "interrupted" in done.err, done
    api.things["firewalls"], api.things["ssh_keys"] = firewalls, keys
    goes_on.set()
    until(lambda: api.things["servers"], 120)
    assert [m["kind"] for m in vm.machines()] == ["vm"]
    vm.destroy()


@pytest.mark.parametrize("action", ["firewalls create", "ssh_keys create", "servers create"])
def test_a_lost_answer(api, vm, action):
    api.fail(action, 503, "unavailable", after=True)
    assert vm.run("create").status == AGAIN
    vm.create()
    assert [len(api.things[kind]) for kind in MADE] == [1, 1, 1, 0, 2]
    vm.destroy()


@pytest.mark.parametrize("status,code,expected", [
    (403, "resource_limit_exceeded", CANNOT), (412, "resource_unavailable", CANNOT), (503, "unavailable", AGAIN), (403, "forbidden", DENIED),
    (423, "locked", AGAIN)])
def test_without_a_server_destroy_removes_the_rest(api, vm, status, code, expected):
    api.fail("servers create", status, code, "in the cloud's own words", times=99)
    done = vm.run("create")
    assert done.status == expected and "in the cloud's own words" in done.err, done
    assert sorted((m["kind"], m["name"]) for m in vm.machines()) == [("firewall", vm.name), ("key", vm.name)]
    for left in vm.machines():
        assert vm.run("destroy", BOTTLE_VM_NAME="", BOTTLE_VM_ID=left["id"], BOTTLE_IN_FLIGHT_SECONDS=0).json == {"status": "gone"}
    assert vm.run("destroy", BOTTLE_IN_FLIGHT_SECONDS=0).json == {"status": "gone"}


@pytest.mark.parametrize("hook", ["ssh-info", "status", "destroy", "list"])
@pytest.mark.parametrize("status,code,expected", [
    (503, "service_error", AGAIN), (500, "server_error", AGAIN), (502, "", AGAIN), (403, "forbidden", DENIED), (401, "unauthorized", DENIED)])
def test_errors_become_exit_statuses(api, vm, hook, status, code, expected):
    api.fail("servers list", status, code, "in the cloud's own words", times=99)
    done = vm.run(hook)
    assert done.status == expected, done
    assert done.out == "" and (not code or "in the cloud's own words" in done.err)


def test_throttling_is_retried_and_reported(api, vm):
    """The command itself waits and retries. If that takes too long, the hook reports it."""
    api.fail("servers list", 429, "rate_limit_exceeded", times=1)
    done = vm.run("ssh-info")
    assert done.status == AGAIN and len(api.calls("servers list")) >= 1


def test_all_pages_are_read_and_only_our_machines_are_listed(api, vm):
    for n in range(5):
        labels = {"bottle-session": "s", "bottle-owner": "o", "bottle-vm": "bottle-%d" % n}
        for kind in ("firewalls", "ssh_keys", "volumes"):
            fields = {"rules": [], "applied_to": [], "public_key": "k", "fingerprint": "0", "location": None, "size": 1, "status": "available",
                      "protection": {"delete": False}, "server": None, "linux_device": "", "format": None}
            api.new(kind, {"name": "bottle-%d" % n, "labels": labels}, **fields)
    theirs = api.new("firewalls", {"name": "theirs", "labels": {}}, rules=[], applied_to=[])
    assert sorted((m["kind"], m["name"]) for m in vm.machines()) == sorted(
        (kind, "bottle-%d" % n) for n in range(5) for kind in ("firewall", "key", "volume"))
    done = vm.run("destroy", BOTTLE_VM_NAME="", BOTTLE_VM_ID="firewall/%d" % theirs["id"])
    assert done.status == 1 and "bottle did not make it" in done.err and theirs["id"] in api.things["firewalls"]
    for n in range(5):
        vm.run("destroy", BOTTLE_VM_NAME="bottle-%d" % n, BOTTLE_VM_ID="", BOTTLE_OWNER="o")
    del api.things["firewalls"][theirs["id"]]


def test_a_machine_of_others_with_the_same_name(api, vm):
    theirs = api.new("firewalls", {"name": vm.name, "labels": {}}, rules=[], applied_to=[])
    done = vm.run("create")
    assert done.status == 1 and "bottle did not make it" in done.err and not api.things["servers"]
    del api.things["firewalls"][theirs["id"]]


def of_another_owner(vm, tmp_path):
    other = Vm("hcloud", tmp_path / "other", env={key: vm.env[key] for key in ("HCLOUD_TOKEN", "HCLOUD_ENDPOINT")})
    other.env["BOTTLE_OWNER"] = "another"
    return other


def test_a_machine_of_another_owner_is_left_alone(api, vm, tmp_path):
    vm.create()
    made = {kind: set(api.things[kind]) for kind in MADE}
    other = of_another_owner(vm, tmp_path)
    done = other.run("create")
    assert done.status == 1 and "another owner (bottle-owner=0a1b2c3d)" in done.err, done
    assert other.run("ssh-info").status == AGAIN
    assert other.status() == "gone" and other.run("destroy").json == {"status": "gone"}
    for hook in ("status", "destroy"):
        done = other.run(hook, BOTTLE_VM_ID=vm.id)
        assert done.status == 1 and "left alone" in done.err, done
    assert {kind: set(api.things[kind]) for kind in MADE} == made
    vm.destroy()


def test_what_another_owner_left_is_left_alone(api, vm, tmp_path):
    api.fail("servers create", 412, "resource_unavailable", "none", times=99)
    assert vm.run("create").status == CANNOT
    api.faults.clear()
    other = of_another_owner(vm, tmp_path)
    done = other.run("create")
    assert done.status == 1 and "bottle did not make it for this owner" in done.err and not api.things["servers"], done
    assert other.run("destroy").json == {"status": "gone"} and len(api.things["firewalls"]) == 1
    assert vm.run("destroy", BOTTLE_IN_FLIGHT_SECONDS=0).json == {"status": "gone"}


def test_a_machine_that_never_existed(api, vm):
    for vm_id, name in (("", vm.name), ("no-such-id-0000", vm.name), ("no-such-id-0000", ""), ("999", "")):
        assert vm.run("status", BOTTLE_VM_ID=vm_id, BOTTLE_VM_NAME=name).json == {"status": "gone"}
        assert vm.run("destroy", BOTTLE_VM_ID=vm_id, BOTTLE_VM_NAME=name).json == {"status": "gone"}


def test_a_provider_that_is_not_set_up(api, vm):
    done = vm.run("create", HCLOUD_TOKEN="")
    assert done.status == NOT_SET_UP and "HCLOUD_TOKEN" in done.err, done
    done = vm.run("create", BOTTLE_VM_CPUS=64)
    assert done.status == NOT_SET_UP and "options.type" in done.err
    assert vm.run("status", HCLOUD_TOKEN="x" * 64).status == DENIED


def test_another_project_never_says_gone(api, vm):
    vm.create()
    mine, api.token = {kind: dict(api.things[kind]) for kind in MADE}, "b" * 64
    for kind in MADE:
        api.things[kind].clear()
    for hook in ("status", "destroy"):
        done = vm.run(hook, HCLOUD_TOKEN=api.token)
        assert done.status == NOT_SET_UP and done.out == "" and "the VM was made with token" in done.err, done
        assert TOKEN not in done.err and api.token not in done.err
    for kind in MADE:
        api.things[kind].update(mine[kind])
    vm.env["HCLOUD_TOKEN"] = api.token  # a new token of the right project finds the server
    vm.destroy()
