"""Tests sessions on VMs that take a second to create (tests/world/quick): what is on the VM, what it can reach, where
secrets are, and hooks that fail. test_vm_ends.py tests how such sessions end."""

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
from clouds import HOSTS, QUICK, Cloud, VmSide, result
from far import Lines, supervisor_of
from look import kill_for_sure, reapers_of, refs_of_work
from values import ASK, EGRESS, SECRET, files_with, forms


def test_a_vm_is_made_used_and_destroyed(cloud):
    done = cloud.start("echo made >made.txt; curl -sS https://allowed.example.org/; exit 6")
    assert done.returncode == 6, done.stderr
    assert "allowed.example.org" in done.stdout
    (ref,) = refs_of_work(cloud.operator)
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
            assert until(cloud.nothing_left, 60), cloud.left()
            os.rename(os.path.join(image, "lost"), os.path.join(image, lost))
        leads_back(cloud.start("echo ran", secrets=SECRET, egress=EGRESS, env={"QUICK_LINK": "wg0 10.99.0.2/24"}), "wg0")
        assert until(cloud.nothing_left, 60), cloud.left()
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
        assert until(cloud.nothing_left, 60), cloud.left()
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
                          "for i in $(seq 1000); do curl -sS -m 5 -o /dev/null -w 'then %{http_code}\\n' https://inspected.example.org/; sleep 0.5; done",
                          wait=False, options={"network": "none", "sealed": "1"},
                          egress={"hosts": HOSTS})
    output = Lines(process)
    try:
        assert until(lambda: output.count("first 200"), 60), (output.lines, process.poll())
        assert not output.count("then 200")
        (session,) = cloud.operator.sessions()
        done = cloud.bottle("allow", session, "inspected.example.org")
        assert done.returncode == 0, done.stderr
        assert until(lambda: output.count("then 200"), 60), output.lines
        vm = json.load(open(os.path.join(cloud.vms, cloud.there()[0], "vm.json")))
        refused = world_module.run("nsenter", "--net=/run/netns/" + vm["ns"], "--", "iptables", "-w", "-nvxL", "OUTPUT").stdout
        assert "DROP" in refused, refused
        legs = [line for line in world_module.run("ip", "-n", vm["ns"], "-br", "link", "show", "type", "veth").stdout.splitlines() if line.startswith("veth")]
        assert len(legs) == 2, "the agent's and the guard's, which is not on an egress bridge: " + str(legs)
    finally:
        cloud.bottle("stop", *cloud.operator.sessions())
        process.wait(360)
        output.thread.join()


def test_a_session_on_a_vm_without_a_network_can_be_attached_to(cloud, until):
    """The near supervisor, which carries all of the VM's traffic, is killed, and so is the reaper, as on a laptop that
    loses power. `bottle attach` continues the session."""
    process = cloud.start("for i in $(seq 1000); do curl -sS -m 5 -o /dev/null https://allowed.example.org/again; sleep 0.5; done", wait=False,
                          options={"network": "none", "sealed": "1"}, egress={"hosts": HOSTS})
    asked = lambda: len([r for r in cloud.world.seen("allowed.example.org", cloud.since) if r["path"] == "/again"])  # noqa: E731
    joined = None
    try:
        assert until(lambda: asked() >= 2 or process.poll() is not None, 60) and process.poll() is None, process.communicate()
        _, supervisor = supervisor_of(cloud.operator)
        kill_for_sure(*reapers_of(cloud.operator), supervisor)
        process.communicate(timeout=360)
        time.sleep(1)
        before = asked()
        joined = subprocess.Popen(cloud.world.command("attach"), cwd=cloud.operator.workspace, env={**cloud.world.environment(None, cloud.operator.home), **cloud.env},
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert until(lambda: asked() >= before + 2 or joined.poll() is not None, 60) and joined.poll() is None, joined.communicate()
    finally:
        cloud.bottle("stop", *cloud.operator.sessions())
        if joined:
            joined.communicate(timeout=360)


WAYS = {"job": [], "store": ["--token-via", "provider"], "sendenv": ["--token-via", "sendenv"], "file": ["--token-file", "~/token"], "tunnel": ["--secrets", "tunnel"]}


@pytest.mark.parametrize("way", WAYS)
def test_where_the_token_is_kept(cloud, until, way):
    since, token, options = time.time(), cloud.world.token, {}
    if way == "file":
        options["deliver"] = cloud.world.path("token")
    egress = {**EGRESS, "hosts": HOSTS}  # the near side does not use the world's name server
    process = cloud.start(ASK + "; sleep 300", *WAYS[way], wait=False, options=options, secrets=SECRET, egress=egress, token=way != "file")
    try:
        assert until(lambda: cloud.world.seen("inspected.example.org", since) or process.poll() is not None, 120)
        assert process.poll() is None, process.communicate()
        side = VmSide(cloud)
        holders, places = side.holders(token), side.places(token)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=360)
    assert [r["headers"].get("Authorization") for r in cloud.world.seen("inspected.example.org", since)] == ["Bearer " + token]
    assert places == [] and token not in out + err, places
    assert ("guard" in holders) == (way != "tunnel"), holders
    assert ("put-secret" in cloud.calls()) == (way == "store")
    assert files_with(forms(token), cloud.operator.home) == []


def test_a_provider_that_cannot_keep_a_secret(cloud, until):
    for text, why in ((None, "cannot store secrets"), ('#!/bin/sh\nprintf \'{"fetch":"echo %s"}\' "$(cat)"\n', "contains the value itself"),
                      ("#!/bin/sh\necho {}\n", "the answer has no text")):
        if text:
            cloud.write(cloud.where, "put-secret", text)
        else:
            os.unlink(os.path.join(cloud.where, "put-secret"))
        done = cloud.start("true", "--token-via", "provider", secrets=SECRET, egress=EGRESS)
        assert done.returncode == 125 and why in done.stderr and cloud.world.token not in done.stderr, done.stderr
        assert until(cloud.nothing_left, 60), cloud.left()
        assert text or "create" not in cloud.calls(), "known before anything is made"


# -- hooks that fail

FAULTS = {"create-garbage": "instead of one JSON object", "create-half": "the power went", "create-quota": "no room for another", "ssh-info-garbage": "is not a valid place to sign in"}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_hook_leaves_nothing(cloud, until, fault):
    done = cloud.start("echo ran", options={"fault": fault})
    assert done.returncode == 125 and FAULTS[fault] in done.stderr and "ran" not in done.stdout, done.stderr
    assert until(cloud.nothing_left, 60), cloud.left()
    assert not os.path.exists("/tmp/pwned")


def test_a_hanging_create_ends_with_its_launcher(cloud, until):
    process = cloud.start("echo ran", wait=False, options={"fault": "create-hangs"})
    assert until(lambda: "create" in cloud.calls(), 60)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=360)
    assert until(cloud.nothing_left, 120), cloud.left()


def test_a_false_answer_of_destroy_is_detected(cloud, until):
    done = cloud.start("true", options={"fault": "destroy-lies"}, wait=False)
    try:
        assert until(lambda: cloud.calls().count("destroy") >= 2, 60), "it is asked again"
        assert cloud.there() and "status" in cloud.calls()
    finally:
        # The hook stops lying, and the next call does what it reports.
        for hook in ("destroy",):
            cloud.write(cloud.where, hook, '#!/bin/sh\nBOTTLE_OPT_FAULT= exec %s -B %s "$0"\n' % (sys.executable, QUICK))
        out, err = done.communicate(timeout=360)
    vm = json.loads([line for line in err.splitlines() if '"receipt"' in line][-1])["receipt"]["vm"]
    assert done.returncode == 0 and vm["confirmed"] and vm["calls"] >= 3, vm


def test_a_postponed_destroy_is_retried(cloud):
    done = cloud.start("true", options={"fault": "destroy-again"})
    assert done.returncode == 0 and result(done)["receipt"]["vm"]["confirmed"], done.stderr
    assert cloud.calls().count("destroy") >= 3


def test_the_contract(cloud):
    """Runs `bottle provider test` for this provider."""
    done = cloud.bottle("provider", "test", "quick", "--set", "world=" + cloud.world.dir, "--set", "net=" + cloud.world.net_ns, "--json", config=cloud.config(), timeout=300)
    told = json.loads(done.stdout)
    assert done.returncode == 0, [check for check in told["checks"] if not check["ok"]]
