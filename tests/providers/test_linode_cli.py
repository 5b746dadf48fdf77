"""Tests providers/linode with the real `linode-cli`, which Debian does not have. Name its directory with
LINODE_CLI_AT=/path/to/its/bin."""

import base64
import glob
import os
import threading

import pytest

from hooks import AGAIN, DENIED, Vm, until
from linode_api import TOKEN, LinodeApi

AT = os.environ.get("LINODE_CLI_AT", "/usr/bin")
pytestmark = pytest.mark.skipif(not os.path.exists(AT + "/linode-cli"), reason="the real linode-cli is not on this machine (LINODE_CLI_AT)")


def command_lines():
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as f:
                yield f.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            pass


def test_a_machine_is_created_listed_and_destroyed(tmp_path):
    with LinodeApi() as api:
        env = {"PATH": AT + ":/usr/bin:/bin", "LINODE_CLI_TOKEN": TOKEN, "LINODE_CLI_API_HOST": api.url[len("http://"):],
               "LINODE_CLI_API_SCHEME": "http"}
        vm = Vm("linode", str(tmp_path), env=env, region="nl-ams")
        user_data = open(vm.env["BOTTLE_USER_DATA"], "rb").read()
        goes_on = threading.Event()
        api.fail("POST linode/instances", until=goes_on)
        child = vm.start("create")
        until(lambda: api.calls("POST linode/instances") or child.poll() is not None, 120)
        seen = list(command_lines())  # while linode-cli runs
        goes_on.set()
        out, err = child.communicate()
        assert child.returncode == 0, err
        assert any("runpy" in line for line in seen)
        assert not [line for line in seen if base64.b64encode(user_data).decode() in line], "user-data in an argument"

        (machine,), (firewall,) = (list(things.values()) for things in api.things.values())
        assert base64.b64decode(machine["_asked"]["metadata"]["user_data"]) == user_data and len(machine["_asked"]["root_pass"]) > 30
        assert machine["_asked"]["firewall_id"] == firewall["id"] and machine["_asked"]["booted"] is True
        assert sorted(machine["tags"]) == ["bottle-owner:0a1b2c3d", "bottle-session:x1", "bottle-vm:bottle-x1"] == sorted(firewall["tags"])
        assert firewall["rules"]["inbound_policy"] == "DROP" and firewall["rules"]["outbound_policy"] == "ACCEPT"
        for n in range(30):  # machines of others, on the first page
            api.things["linode/instances"][n] = {**machine, "id": n, "tags": [], "label": "theirs-%d" % n}
        api.things["linode/instances"] = dict(sorted(api.things["linode/instances"].items()))

        assert vm.create() == str(machine["id"])
        assert vm.run("ssh-info").json == {"host": "203.0.113.8", "port": 22, "user": "bottle"} and vm.status() == "running"
        (listed,) = vm.machines()
        assert (listed["id"], listed["session"]) == (vm.id, "x1")
        api.fail("GET linode/instances", 503, "", "in the cloud's own words")
        assert vm.run("ssh-info").status == AGAIN
        assert vm.run("ssh-info", LINODE_CLI_TOKEN="wrong").status == DENIED
        vm.destroy()
        assert len(api.things["linode/instances"]) == 30 and not api.things["networking/firewalls"]
