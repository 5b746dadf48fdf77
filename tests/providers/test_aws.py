"""providers/aws: the real `aws` command of Debian, against a stand-in of the EC2 API on 127.0.0.1
(tests/standin/ec2_api.py)."""

import threading

import pytest

from ec2_api import KEY, Ec2Api
from hooks import AGAIN, CANNOT, DENIED, NOT_SET_UP, Vm, have, killed_at, until

pytestmark = pytest.mark.skipif(not have("aws"), reason="aws is not installed (scripts/setup does it)")


@pytest.fixture
def api():
    with Ec2Api() as api:
        yield api
        left = [i["instanceId"] for i in api.instances.values() if i["state"] != "terminated"] + list(api.volumes) + list(api.groups)
    assert left == [], "left at the cloud"


def vm_of(api, directory, path, name="bottle-x1", **kwargs):
    # The command tries each call only once, because its retries would only slow down the tests.
    env = {"PATH": path, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": "not-a-secret", "AWS_MAX_ATTEMPTS": "1", "AWS_EC2_METADATA_DISABLED": "true"}
    return Vm("aws", str(directory), name=name, env=env, **{"region": "eu-central-1", "endpoint_url": api.url, **kwargs})


@pytest.fixture
def vm(api, tmp_path, aws_path):
    return vm_of(api, tmp_path, aws_path)


def test_a_machine_is_created_listed_and_destroyed(api, vm):
    api.start_seconds, api.end_seconds = 3600, 1
    api.fail("RunInstances", 503, "Unavailable", after=True)
    assert vm.run("create").status == AGAIN, "made, and the answer lost"
    (made,) = api.instances
    assert vm.create() == made and len(api.instances) == 1, "a second create finds what the first one made"
    assert vm.run("ssh-info").status == AGAIN, "no address yet"
    assert vm.status() == "pending"
    api.start_seconds = 0

    asked, (group,) = api.instances[vm.id]["asked"], api.groups.values()
    assert asked["MetadataOptions.HttpTokens"] == "required" and asked["MetadataOptions.HttpPutResponseHopLimit"] == "1"
    assert asked["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert not [key for key in asked if "IamInstanceProfile" in key or key == "KeyName"]
    assert asked["ImageId"] == "ami-0002" and asked["InstanceType"] == "t3.medium"
    assert asked["BlockDeviceMapping.1.Ebs.VolumeSize"] == "20" and asked["BlockDeviceMapping.1.Ebs.DeleteOnTermination"] == "true"
    assert api.instances[vm.id]["userData"] == open(vm.env["BOTTLE_USER_DATA"]).read()
    assert group["ipPermissions"] == [{"ipProtocol": "tcp", "fromPort": "22", "toPort": "22", "cidrIp": "0.0.0.0/0"}]
    for thing in (api.instances[vm.id], group, *api.volumes.values()):
        tags = {tag["key"]: tag["value"] for tag in thing["tagSet"]}
        assert tags == {"Name": vm.name, "bottle-vm": vm.name, "bottle-session": "x1", "bottle-owner": "0a1b2c3d"}

    where = vm.run("ssh-info").json
    assert where["host"].startswith("203.0.113.") and (where["port"], where["user"]) == (22, "bottle")
    (machine,) = vm.machines()
    assert machine.pop("created").endswith("Z")
    assert machine == {"id": vm.id, "kind": "vm", "status": "running", "name": vm.name, "session": "x1", "owner": "0a1b2c3d"}

    assert vm.run("destroy").json == {"status": "gone"}
    assert vm.status() == "gone"
    assert vm.run("destroy").json == {"status": "gone"}, "already gone is success"


def test_the_installed_command_creates_and_destroys_a_machine(api, tmp_path):
    """The other tests run it as awscli_once.py does."""
    vm = vm_of(api, tmp_path, "/usr/bin:/bin")
    assert vm.create() in api.instances
    assert vm.run("ssh-info").json["host"].startswith("203.0.113.")
    vm.destroy()


def test_a_later_vm_of_the_same_name_is_created(api, vm):
    """EC2 still knows the client token of the first one, and refuses it with other parameters."""
    first = vm.create()
    vm.destroy()
    with open(vm.env["BOTTLE_USER_DATA"], "a") as f:
        f.write("# other keys\n")
    vm.id = ""
    assert vm.create() != first
    vm.destroy()
    vm.id = ""
    assert vm.create() not in (first, ""), "the same user-data, but another security group"
    vm.destroy()


def test_a_vm_whose_name_no_cloud_allows_can_be_confirmed_gone(api, tmp_path, aws_path):
    vm = vm_of(api, tmp_path, aws_path, name="bottle-x-")
    assert vm.run("create").status not in (0, AGAIN)
    assert vm.run("destroy").json == {"status": "gone"}
    assert vm.status() == "gone"


def test_a_slow_destroy_and_a_volume_that_stays(api, vm):
    vm.create()
    api.end_seconds, api.keep_volume = 3600, True
    assert vm.run("destroy", BOTTLE_DESTROY_SECONDS=0).json == {"status": "deleting"}
    assert vm.status() == "deleting", "not gone before the cloud says so"
    api.end_seconds = 0
    api.act("DescribeVolumes", {})  # lets time pass
    (left,) = [m for m in vm.machines() if m["kind"] == "volume"]
    assert left["session"] == "x1"
    vm.destroy()


def test_everything_of_a_killed_create_is_found(api, vm):
    """The hook is killed during its request, and the machine appears afterward. No id was printed."""
    goes_on = threading.Event()
    api.fail("RunInstances", until=goes_on)
    killed_at(vm, api, "RunInstances")
    groups, api.groups = api.groups, {}  # only the mark of the killed create identifies it
    done = vm.run("status", BOTTLE_IN_FLIGHT_SECONDS=600)
    assert done.status == AGAIN and "interrupted" in done.err, done
    api.groups = groups
    goes_on.set()
    until(lambda: api.instances, 120)
    (vm_id,) = api.instances
    vm.destroy()
    assert api.instances[vm_id]["state"] == "terminated"


def test_after_a_lack_of_capacity_destroy_removes_the_security_group(api, vm):
    api.fail("RunInstances", 400, "VcpuLimitExceeded", "You have requested more vCPU capacity than your current vCPU limit")
    done = vm.run("create")
    assert done.status == CANNOT and "vCPU" in done.err and not api.instances
    (left,) = vm.machines()
    assert left["kind"] == "firewall" and left["name"] == vm.name
    assert vm.run("destroy", BOTTLE_VM_NAME="", BOTTLE_VM_ID=left["id"]).json == {"status": "gone"}


@pytest.mark.parametrize("status,code,expected", [
    (503, "RequestLimitExceeded", AGAIN), (500, "InternalError", AGAIN), (403, "UnauthorizedOperation", DENIED)])
def test_errors_become_exit_statuses(api, vm, status, code, expected):
    api.fail("DescribeInstances", status, code, "in the cloud's own words")
    done = vm.run("ssh-info")
    assert done.status == expected and "in the cloud's own words" in done.err, done
    assert done.out == ""


def test_all_pages_are_read_and_only_our_machines_are_listed(api, vm, tmp_path):
    tags = [{"key": "bottle-session", "value": "s"}, {"key": "bottle-owner", "value": "o"}, {"key": "bottle-vm", "value": ""}]
    for n in range(5):
        mine = tags[:2] + [{"key": "bottle-vm", "value": "bottle-%d" % n}]
        api.instances["i-%d" % n] = {"instanceId": "i-%d" % n, "state": "running", "address": "", "groups": [], "tagSet": mine,
                                     "type": "t3.small", "launchTime": "2026-01-01T00:00:00.000Z", "_since": 0}
    api.instances["i-theirs"] = dict(api.instances["i-0"], instanceId="i-theirs", tagSet=[{"key": "Name", "value": "bottle-0"}])
    assert sorted(m["id"] for m in vm.machines()) == ["i-0", "i-1", "i-2", "i-3", "i-4"]
    done = vm.run("destroy", BOTTLE_VM_NAME="", BOTTLE_VM_ID="i-theirs")
    assert done.status == 1 and "bottle did not make" in done.err
    assert api.instances["i-theirs"]["state"] == "running"
    api.instances.clear()


def test_a_machine_of_another_owner_is_left_alone(api, vm, tmp_path, aws_path):
    vm.create()
    other = vm_of(api, tmp_path / "other", aws_path)
    other.env["BOTTLE_OWNER"] = "another"
    done = other.run("create")
    assert done.status == 1 and "another owner (bottle-owner=0a1b2c3d)" in done.err, done
    assert other.run("ssh-info").status == AGAIN
    assert other.status() == "gone" and other.run("destroy").json == {"status": "gone"}
    for hook in ("status", "destroy"):
        done = other.run(hook, BOTTLE_VM_ID=vm.id)
        assert done.status == 1 and "left alone" in done.err, done
    assert list(api.instances) == [vm.id] and len(api.volumes) == 1 and len(api.groups) == 1
    assert vm.status() == "running"
    vm.destroy()


def test_a_provider_that_is_not_set_up(api, vm, tmp_path):
    (tmp_path / "bin").mkdir()
    for command in ("sh", "python3"):
        (tmp_path / "bin" / command).symlink_to("/usr/bin/" + command)
    done = vm.run("create", PATH=str(tmp_path / "bin"))
    assert done.status == NOT_SET_UP and "apt install awscli" in done.err
    done = vm.run("status", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert done.status == DENIED and "credentials" in done.err


def test_another_account_or_region_never_says_gone(api, vm):
    vm.create()
    mine = api.instances, api.volumes, api.groups
    api.instances, api.volumes, api.groups = {}, {}, {}
    for account, region in (("444455556666", "eu-central-1"), (api.account, "us-east-1")):
        right, api.account = api.account, account
        for hook in ("status", "destroy"):
            done = vm.run(hook, BOTTLE_OPT_REGION=region)
            assert done.status == NOT_SET_UP and done.out == "" and right in done.err and region in done.err, done
        api.account = right
    api.instances, api.volumes, api.groups = mine
    vm.destroy()
