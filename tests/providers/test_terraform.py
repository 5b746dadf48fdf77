"""Tests providers/terraform against a stand-in of the command, and against the real one if it is installed (with a
module of its built-in provider, which needs no network, in a network namespace without a way out)."""

import os
import shutil

import pytest

from hooks import AGAIN, CANNOT, NOT_SET_UP, ROOT, CommandState, Vm, until

BIN = os.path.join(ROOT, "tests", "standin", "bin")
REAL = shutil.which("terraform", path="/usr/local/bin:/usr/bin:/bin")

# A machine is a file in DIRECTORY/cloud, which the module makes and removes.
MODULE = """
variable "bottle_name" {}
variable "bottle_session" {}
variable "bottle_ssh_user" {}
variable "bottle_user_data_file" {}
variable "cloud" {}
terraform {
  backend "http" { address = "http://127.0.0.1:1/never" }
}
resource "terraform_data" "vm" {
  input            = { file = "${var.cloud}/${var.bottle_name}", session = var.bottle_session, data = filesha256(var.bottle_user_data_file) }
  provisioner "local-exec" { command = "sleep ${fileexists("${var.cloud}/slow") ? 3 : 0}; touch '${self.input.file}'; sleep 300 >/dev/null 2>&1 & echo $! > '${self.input.file}.pid'" }
  provisioner "local-exec" {
    when    = destroy
    command = "rm '${self.input.file}'; kill $(cat '${self.input.file}.pid'); rm '${self.input.file}.pid'"
  }
}
output "id" { value = terraform_data.vm.id }
output "host" { value = "203.0.113.6" }
output "port" { value = 2222 }
output "user" { value = var.bottle_ssh_user }
output "cost_per_hour" { value = "0.01 EUR" }
"""


@pytest.fixture
def module(tmp_path):
    (tmp_path / "module").mkdir()
    (tmp_path / "cloud").mkdir()
    (tmp_path / "module" / "main.tf").write_text(MODULE)
    return str(tmp_path / "module")


@pytest.fixture
def cloud(tmp_path):
    cloud = CommandState(tmp_path, {"machines": {}})
    yield cloud
    assert cloud.things["machines"] == {}, "left at the cloud"


@pytest.fixture
def vm(cloud, module, tmp_path):
    return Vm("terraform", str(tmp_path), env={"PATH": BIN + ":/usr/bin:/bin", "STANDIN_STATE": cloud.path}, module=module, var_region="here")


def test_a_relative_xdg_path_is_ignored(cloud, vm, tmp_path):
    vm.env["XDG_STATE_HOME"] = "state"
    vm.create()
    assert os.listdir(tmp_path / ".local" / "state" / "bottle" / "terraform")
    assert vm.run("destroy").json == {"status": "gone"}


def test_a_machine_is_created_listed_and_destroyed(cloud, vm, module):
    assert vm.status() == "gone" and vm.run("destroy").json == {"status": "gone"}
    vm.create()
    (given,) = cloud.things["machines"].values()
    assert given["TF_VAR_region"] == "here" and given["TF_VAR_bottle_cpus"] == "2" and given["TF_VAR_bottle_session"] == "x1"
    assert given["TF_VAR_bottle_user_data_file"] == vm.env["BOTTLE_USER_DATA"]
    assert vm.create() == vm.id and len(cloud.things["machines"]) == 1
    assert vm.run("ssh-info").json == {"host": "203.0.113.5", "port": 22, "user": "bottle"} and vm.status() == "running"
    (listed,) = vm.machines()
    assert (listed["name"], listed["session"], listed["owner"]) == (vm.name, "x1", "0a1b2c3d")
    vm.signed_in()
    shutil.rmtree(module)  # the code that made it is kept with the VM
    assert vm.status() == "running"
    assert vm.run("destroy", BOTTLE_VM_NAME="", BOTTLE_VM_ID=listed["id"], BOTTLE_STATE_DIR="").json == {"status": "gone"}
    assert cloud.things["machines"] == {} and vm.status() == "gone" and vm.machines() == []


def test_a_machine_that_is_gone_at_the_cloud(cloud, vm):
    vm.create()
    cloud.change(lambda state: state["things"]["machines"].clear())
    assert vm.status() == "gone", "asked of the cloud, not remembered"
    vm.destroy()
    assert vm.machines() == []


@pytest.mark.parametrize("err,expected", [
    ("Error: creating instance: VcpuLimitExceeded: You have requested more vCPU capacity than your current vCPU limit of 5: quota", CANNOT),
    ("Error: waiting for instance: unexpected status 503 Service Unavailable", AGAIN), ("Error: Unsupported argument", 1)])
def test_errors_become_exit_statuses(cloud, vm, err, expected):
    cloud.fail("apply", err, after=True)
    done = vm.run("create")
    assert done.status == expected and err in done.err
    assert len(vm.machines()) == 1 and vm.status() == "running", "half made: still ours to end"
    cloud.fail("destroy", err)
    assert vm.run("destroy").status == expected and len(cloud.things["machines"]) == 1
    vm.destroy()


def test_a_killed_create(cloud, vm):
    with open(cloud.path + ".wait", "w") as f:
        f.write("apply")
    child = vm.start("create")
    until(lambda: os.path.exists(cloud.path + ".waits"), 120)
    child.kill()
    child.communicate()
    assert vm.status() == "pending", "terraform goes on without the hook"
    assert vm.run("destroy", BOTTLE_DESTROY_SECONDS=0).json == {"status": "deleting"}
    os.unlink(cloud.path + ".wait")
    until(lambda: cloud.things["machines"], 120)
    vm.destroy()


def test_a_machine_of_another_owner_is_left_alone(cloud, vm, module, tmp_path):
    vm.create()
    other = Vm("terraform", tmp_path / "other", env={key: vm.env[key] for key in ("PATH", "HOME", "STANDIN_STATE")}, module=module, var_region="here")
    other.env["BOTTLE_OWNER"] = "another"
    done = other.run("create")
    assert done.status == 1 and "another owner (bottle-owner=0a1b2c3d)" in done.err, done
    for vm_id, name in (("", vm.name), (vm.id, ""), (vm.id, vm.name)):
        assert other.run("ssh-info", BOTTLE_VM_ID=vm_id).status == AGAIN
        assert other.run("status", BOTTLE_VM_ID=vm_id, BOTTLE_VM_NAME=name).json == {"status": "gone"}
        assert other.run("destroy", BOTTLE_VM_ID=vm_id, BOTTLE_VM_NAME=name).json == {"status": "gone"}
    assert len(cloud.things["machines"]) == 1 and vm.status() == "running" and [m["owner"] for m in other.machines()] == ["0a1b2c3d"]
    vm.destroy()


def test_a_machine_that_never_existed(vm):
    for vm_id, name in (("", vm.name), ("no-such-id-0000", vm.name), ("no-such-id-0000", ""), ("999", "")):
        assert vm.run("status", BOTTLE_VM_ID=vm_id, BOTTLE_VM_NAME=name).json == {"status": "gone"}
        assert vm.run("destroy", BOTTLE_VM_ID=vm_id, BOTTLE_VM_NAME=name).json == {"status": "gone"}


def test_a_provider_that_is_not_set_up(vm, tmp_path):
    for module, words in (("", "options.module"), ("relative", "absolute path"), ("/nowhere", "absolute path")):
        done = vm.run("create", BOTTLE_OPT_MODULE=module)
        assert done.status == NOT_SET_UP and words in done.err
    done = vm.run("create", BOTTLE_OPT_COMMAND="no-such-tofu")
    assert done.status == NOT_SET_UP and "OpenTofu" in done.err
    assert vm.machines() == []


@pytest.mark.skipif(not REAL, reason="the real terraform is not on this machine")
def test_the_real_terraform(module, tmp_path):
    vm = Vm("terraform", str(tmp_path), env={"PATH": BIN + ":/usr/bin:/bin"}, prefix=["unshare", "--net", "--map-root-user"], module=module, command=REAL,
            var_cloud=str(tmp_path / "cloud"))
    machine, slow = tmp_path / "cloud" / vm.name, tmp_path / "cloud" / "slow"
    slow.touch()
    child = vm.start("create")
    until(lambda: (tmp_path / ("state-" + vm.name) / "terraform" / "terraform.tfstate.lock.info").exists() or child.poll() is not None, 120)
    child.kill()
    _, err = child.communicate()
    until(machine.exists, 120)
    slow.unlink()
    assert vm.run("create", timeout=120).json["cost_per_hour"] == "0.01 EUR", err
    assert vm.run("ssh-info").json == {"host": "203.0.113.6", "port": 2222, "user": "bottle"}
    vm.signed_in()
    assert vm.status() == "running" and [m["name"] for m in vm.machines()] == [vm.name]
    vm.destroy()
    assert not machine.exists() and vm.machines() == []
