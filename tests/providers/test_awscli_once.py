"""The `aws` of awscli_once.py does what the installed command does, and lives no longer than the process that was
started."""

import subprocess
import threading

import pytest

from awscli_once import AWS
from ec2_api import KEY, Ec2Api
from hooks import have, until

pytestmark = pytest.mark.skipif(not have("aws"), reason="aws is not installed (scripts/setup does it)")


def surroundings(path, directory):
    return {"PATH": path, "HOME": str(directory), "LC_ALL": "C.UTF-8", "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": "not-a-secret",
            "AWS_MAX_ATTEMPTS": "1", "AWS_EC2_METADATA_DISABLED": "true", "AWS_DEFAULT_REGION": "eu-central-1"}


@pytest.mark.parametrize("arguments,status", [
    (["ec2", "create-security-group", "--group-name", "ä", "--description", "file:///dev/stdin"], 0), (["ec2", "delete-volume", "--volume-id", "vol-1"], 254)])
def test_it_does_what_the_installed_command_does(aws_path, tmp_path, arguments, status):
    def ask(command):
        with Ec2Api() as api:
            done = subprocess.run([command, "--endpoint-url", api.url, *arguments], env=surroundings(aws_path, tmp_path), cwd=tmp_path, input="from stdin",
                                  capture_output=True, text=True, timeout=300)
            return done.returncode, done.stdout, done.stderr, [(call["action"], call["arguments"]) for call in api.requests]
    asked = ask("aws")
    assert asked == ask(AWS)
    assert asked[0] == status


def test_it_dies_with_the_process_that_was_started(aws_path, tmp_path):
    goes_on = threading.Event()
    with Ec2Api() as api:
        api.fail("DescribeVolumes", until=goes_on)
        child = subprocess.Popen(["aws", "--endpoint-url", api.url, "ec2", "describe-volumes"], env=surroundings(aws_path, tmp_path),
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            until(lambda: api.calls("DescribeVolumes"), 120)
            child.kill()
            # The streams end when no process has them any more. The cloud still owes the answer.
            assert child.communicate(timeout=60) == (b"", b"")
        finally:
            goes_on.set()
