"""Tests put-secret of providers/aws: a value gets from stdin to the parameter store, and a program on the VM reads it
from the store."""

import glob
import json
import subprocess
import threading

import pytest

from hooks import NOT_SET_UP, have, until
from ssm_api import MetadataApi, SsmApi
from test_aws import vm_of

pytestmark = [pytest.mark.skipif(not have("aws"), reason="aws is not installed (scripts/setup does it)"),
              pytest.mark.filterwarnings("ignore:.*pyopenssl:DeprecationWarning")]
VALUE = "sk-test-0a'1\"b $HOME\n\\end"


def environments_and_arguments():
    for path in glob.glob("/proc/[0-9]*/cmdline") + glob.glob("/proc/[0-9]*/environ"):
        try:
            with open(path, "rb") as f:
                yield f.read()
        except OSError:
            pass


def put(vm, value, **env):
    child = vm.start("put-secret", stdin=subprocess.PIPE, BOTTLE_SECRET_NAME="token", **env)
    out, err = child.communicate(value, timeout=300)
    return child.returncode, out, err


def test_a_secret_reaches_the_vm(tmp_path, aws_path):
    with SsmApi() as api, MetadataApi() as metadata:
        vm = vm_of(api, tmp_path, aws_path, secret_profile="bottle-reader")
        status, _, err = put(vm, VALUE, BOTTLE_OPT_SECRET_PROFILE="")
        assert status == NOT_SET_UP and "secret-profile" in err
        vm.create()
        assert api.instances[vm.id]["asked"]["IamInstanceProfile.Name"] == "bottle-reader"

        goes_on = threading.Event()
        api.fail("ssm PutParameter", until=goes_on)
        child = vm.start("put-secret", stdin=subprocess.PIPE, BOTTLE_SECRET_NAME="token")
        child.stdin.write(VALUE)
        child.stdin.close()
        until(lambda: api.calls("ssm PutParameter"), 120)
        seen = list(environments_and_arguments())  # while aws runs
        goes_on.set()
        answer = child.stdout.read()
        assert child.wait(300) == 0, child.stderr.read()
        assert [line for line in seen if b"put-parameter" in line]
        assert not [line for line in seen if b"sk-test-0a" in line], "the value in an argument or environment"
        assert "sk-test" not in answer
        fetch = json.loads(answer)["fetch"]
        (parameter,) = api.parameters.values()
        assert parameter["Type"] == "SecureString" and parameter["Value"] == VALUE and parameter["Name"] == "/bottle/%s/token" % vm.name
        assert {t["Key"]: t["Value"] for t in parameter["Tags"]} == {"bottle-vm": vm.name, "bottle-session": "x1", "bottle-owner": "0a1b2c3d"}

        assert "http://169.254.169.254/" in fetch
        here = fetch.replace("http://169.254.169.254", metadata.url)
        done = subprocess.run(["sh"], input=here, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}, timeout=300)
        assert (done.returncode, done.stdout) == (0, VALUE), done.stderr
        assert not api.parameters, "it is removed when it was fetched"
        done = subprocess.run(["sh"], input=here, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}, timeout=300)
        assert done.returncode != 0 and done.stdout == "" and "ParameterNotFound" in done.stderr
        api.parameters["/bottle/%s/token" % vm.name] = parameter  # as if it had not been fetched
        assert vm.run("destroy").json == {"status": "gone"}
        assert not api.parameters and not api.groups


def test_a_secret_that_was_left_is_listed(tmp_path, aws_path):
    with SsmApi() as api:
        vm = vm_of(api, tmp_path, aws_path, secret_profile="bottle-reader")
        for value in (VALUE, "second"):
            assert put(vm, value)[0] == 0
        assert [p["Value"] for p in api.parameters.values()] == ["second"]
        assert vm.status() == "deleting", "not gone: a secret is left"
        assert vm.machines() == [{"id": "secret/%s/token" % vm.name, "kind": "secret", "status": "running", "name": vm.name, "session": "x1",
                                  "owner": "0a1b2c3d"}]
        other = vm_of(api, tmp_path / "other", aws_path, secret_profile="bottle-reader")
        other.env["BOTTLE_OWNER"] = "another"
        assert put(other, "third")[0] == 1 and other.status() == "gone" and other.run("destroy").json == {"status": "gone"}
        assert [p["Value"] for p in api.parameters.values()] == ["second"], "another owner's is left alone"
        assert vm.run("destroy", BOTTLE_VM_NAME="", BOTTLE_VM_ID="secret/%s/token" % vm.name).json == {"status": "gone"}
        assert not api.parameters
        for value in ("", "x" * 4097):
            assert put(vm, value)[0] == 1
