"""Runs `bottle provider test` for every provider that bottle carries, each against its stand-in, with creates that are
killed halfway. No machine is made, so the test does not sign in. (qemu and the provider `quick` of tests/world make
real machines in tests/e2e.)"""

import json
import os
import subprocess

import pytest

from ec2_api import KEY, Ec2Api
from hcloud_api import TOKEN, HcloudApi
from hooks import ROOT, CommandState, have
from test_commands import BIN, KINDS
from test_terraform import MODULE

BOTTLE = os.environ.get("BOTTLE", os.path.join(ROOT, "build", "release", "bottle"))
CLOUD = '"$HOME/cloud"'
OURS = 'grep -qs " $BOTTLE_OWNER$" %s/${BOTTLE_VM_ID:-$BOTTLE_VM_NAME}' % CLOUD
FREE = '{ [ ! -s %s/$BOTTLE_VM_NAME ] || grep -q " $BOTTLE_OWNER$" %s/$BOTTLE_VM_NAME; }' % (CLOUD, CLOUD)
LINES = {  # a cloud that consists of files, one for each machine
    "create": "mkdir -p %s; %s || exit 1; [ -s %s/$BOTTLE_VM_NAME ] || { printf '%%s %%s %%s\\n' $BOTTLE_VM_NAME $BOTTLE_SESSION $BOTTLE_OWNER >%s/.$$ && mv %s/.$$ %s/$BOTTLE_VM_NAME; }; "
              "echo '{\"id\": \"'$BOTTLE_VM_NAME'\"}'" % (CLOUD, FREE, *(CLOUD,) * 4),
    "ssh-info": "[ -e %s/$BOTTLE_VM_NAME ] || exit 1; echo '{\"host\": \"203.0.113.7\", \"port\": 22}'" % CLOUD,
    "status": "if %s; then echo '{\"status\": \"running\"}'; else echo '{\"status\": \"gone\"}'; fi" % OURS,
    "destroy": "%s && rm -f %s/${BOTTLE_VM_ID:-$BOTTLE_VM_NAME}; echo '{\"status\": \"gone\"}'" % (OURS, CLOUD),
    "list": "cat %s/* 2>/dev/null | awk 'BEGIN {printf \"{\\\"machines\\\": [\"} {printf \"%%s{\\\"id\\\": \\\"%%s\\\", \\\"name\\\": \\\"%%s\\\", \\\"session\\\": \\\"%%s\\\", \\\"owner\\\": "
            "\\\"%%s\\\", \\\"created\\\": \\\"2026-01-01T00:00:00Z\\\"}\", s, $1, $1, $2, $3; s = \", \"} END {print \"]}\"}'" % CLOUD}

pytestmark = pytest.mark.skipif(not os.path.exists(BOTTLE), reason="bottle is not built")


def conforms(provider, directory, env, options, in_flight=5):
    """Returns what is wrong with the provider. A tool whose create was killed must reach the cloud in `in_flight`
    seconds."""
    argv = [BOTTLE, "provider", "test", provider, "--no-ssh", "--json"]
    for key, value in options.items():
        argv += ["--set", "%s=%s" % (key, value)]
    surroundings = {"PATH": "/usr/bin:/bin", "HOME": str(directory), "LANG": "C.UTF-8", "BOTTLE_IN_FLIGHT_SECONDS": str(in_flight), **env}
    done = subprocess.run(argv, env=surroundings, capture_output=True, text=True, timeout=1200)
    told = json.loads(done.stdout)
    wrong = ["%s: %s" % (check["name"], check["detail"]) for check in told["checks"] if not check["ok"]]
    assert len(told["checks"]) > 15 and done.returncode == (125 if wrong else 0), done.stderr
    return wrong


@pytest.mark.parametrize("provider", KINDS)
def test_the_contract_holds_for_command_stand_ins(tmp_path, provider):
    kind = KINDS[provider]
    cloud = CommandState(tmp_path, kind.things)
    assert conforms(provider, tmp_path, {"PATH": BIN + ":/usr/bin:/bin", "STANDIN_STATE": cloud.path}, kind.options) == []


def test_terraform(tmp_path):
    (tmp_path / "module").mkdir()
    (tmp_path / "module" / "main.tf").write_text(MODULE)
    cloud = CommandState(tmp_path, {"machines": {}})
    assert conforms("terraform", tmp_path, {"PATH": BIN + ":/usr/bin:/bin", "STANDIN_STATE": cloud.path}, {"module": tmp_path / "module", "var-region": "here"}) == []


@pytest.mark.skipif(not have("hcloud"), reason="hcloud is not installed (scripts/setup does it)")
def test_hcloud(tmp_path):
    with HcloudApi() as api:
        assert conforms("hcloud", tmp_path, {"HCLOUD_TOKEN": TOKEN, "HCLOUD_ENDPOINT": api.url + "/v1"}, {}) == []


@pytest.mark.skipif(not have("aws"), reason="aws is not installed (scripts/setup does it)")
def test_aws(tmp_path, aws_path):
    with Ec2Api() as api:
        env = {"PATH": aws_path, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": "not-a-secret", "AWS_MAX_ATTEMPTS": "1", "AWS_EC2_METADATA_DISABLED": "true"}
        assert conforms("aws", tmp_path, env, {"region": "eu-central-1", "endpoint-url": api.url}) == []


def test_command(tmp_path):
    assert conforms("command", tmp_path, {}, LINES) == []
