"""For each wall of SECURITY.md, the attack in the wall's test succeeds if that wall is weakened. This shows that the
test can fail.

The program has no switch that weakens a wall. These tests use a manifest that demands less, or do the program's work
without the part that is the wall. A wall that the engine enforces is weakened in a twin: a container or network that
the engine makes from the request of a running session, with one change (twins.py)."""

import json
import os
import subprocess
import tempfile
import time

import pytest

import fake_packages
import world as world_module
from attacks import (ASK_FOR_IT, CALLS, ECHOES, FIRST, FORBIDDEN_NAME, LIMITS, OTHER_METHODS_AND_PATHS, OTHER_REQUESTS, PLANT_COMMANDS,
                     PRIVILEGES, PROBES, TARGETS, told)
from look import everything
from operators import Operator, wait_for
from precious import dead_owner, ledger_text
from ssh_server import keygen
from terminals import EVIL, FORGED, assert_harmless
from twins import twins

ASK = "python3 - <<'EOS'\n%s\nEOS" % CALLS


# -- what the engine enforces: a twin of the agent's container or of its network, with one change

def as_root(body):
    body["User"] = "0:0"
    body["HostConfig"].update(CapDrop=[], CapAdd=["NET_RAW", "NET_ADMIN", "SYS_ADMIN"], SecurityOpt=["seccomp=unconfined", "apparmor=unconfined"])


def without_filter(body):
    body["HostConfig"]["SecurityOpt"] = ["no-new-privileges", "seccomp=unconfined"]


def without_limits(body):
    body["HostConfig"].update(Memory=0, MemorySwap=0, NanoCpus=0, PidsLimit=0)


def with_large_shared_memory(body):
    body["HostConfig"].update(ShmSize=4 << 30, Memory=0, MemorySwap=0)


def with_engine_socket(body, path):
    body["HostConfig"]["Mounts"] = [{"Type": "bind", "Source": path, "Target": "/var/run/docker.sock"}]


def probes(target):
    """Returns what the probes of test_no_way_out do with one address, and whether the engine's socket exists."""
    addresses, _, rest = PROBES.replace(TARGETS, target).partition("getent hosts")
    return 'GENTLE=2 PORTS="22 80" NEIGHBORS=\n' + addresses + rest[rest.index("for path in"):]


def reached(said):
    return [line for line in said.splitlines() if line.startswith("REACHED")]


@pytest.fixture(scope="class")
def running(world):
    with twins(world, Operator(world, tempfile.mkdtemp(prefix="home-", dir=world.dir)), wait_for) as made:
        yield made
    assert world.left() == []


class TestWhatTheEngineEnforces:
    def test_agent_and_kernel(self, running):
        assert not reached(running.attack(PRIVILEGES)), "the twin without a change is as tight as what it is a twin of"
        said = running.attack(PRIVILEGES, as_root)
        assert {"REACHED raw socket", "REACHED packet socket", "REACHED mount"} <= set(reached(said)), said
        allowed, all_calls = told(running.attack(ASK)), told(running.attack(ASK, without_filter))
        assert all_calls and {n for n in all_calls if all_calls[n] == "REACHED"} > {n for n in allowed if allowed[n] == "REACHED"}, all_calls
        said = running.attack(LIMITS["pids"], without_limits)
        assert max(int(word) for word in said.split() if word.isdigit()) > 150, said

    def test_agent_and_the_machines_resources(self, running):
        fill = "fallocate -l 1100M /dev/shm/x && echo REACHED shm; rm -f /dev/shm/x"
        assert not reached(running.attack(fill))
        assert reached(running.attack(fill, with_large_shared_memory)) == ["REACHED shm"]

    def test_agent_and_network(self, world, running):
        """Uses a network as plain `--internal` makes it: the bridge has an address, and the host can be reached through
        it."""
        assert not reached(running.attack(probes("$gateway")))
        running.network(lambda body: body["Options"].pop("com.docker.network.bridge.inhibit_ipv4"))

        def on_it(body):
            body["NetworkingConfig"] = {"EndpointsConfig": {"twin-net": {}}}
            body["HostConfig"]["NetworkMode"] = "twin-net"
        said = running.attack(probes(world.engine("GET", "/networks/twin-net")["IPAM"]["Config"][0]["Gateway"]), on_it, "twin-net")
        assert any(line.startswith("REACHED tcp") for line in reached(said)), said

    def test_agent_and_host(self, world, running):
        assert "REACHED engine socket" not in reached(running.attack(probes("")))
        said = running.attack(probes(""), lambda body: with_engine_socket(body, world.socket))
        assert "REACHED engine socket" in reached(said), said

    def test_agent_and_guard(self, world, running, until):
        """A guard that forwards packets is a router for anyone who can address a packet to it: the agent's twin gets a
        route."""
        def forwards(body):
            body["HostConfig"]["Sysctls"]["net.ipv4.ip_forward"] = "1"

        def iptables(what):
            world_module.run("nsenter", "--net=/run/netns/" + world.host_ns, "iptables", "-w", what, "DOCKER-USER", "-j", "ACCEPT")

        agent = running.container("agent", lambda body: body.update(Entrypoint=["sleep", "1800"]))
        router = running.container("guard", forwards, "bottle-egress")
        world.docker("network", "connect", running.name, router)
        for name in (agent, router):
            world.docker("start", name)
        host, own = world.engine("GET", "/networks/bottle-egress")["IPAM"]["Config"][0]["Gateway"], running.address("agent", agent)

        def send_through(guard, port):
            running.within(agent, "ip", "route", "replace", "default", "via", guard)
            running.within(agent, "python3", "-c", "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                           "for _ in range(3): s.sendto(b'x', ('%s', %d))" % (host, port))

        since = time.time()

        def arrived():
            return {hit["port"] for hit in world_module.read_jsonl(world.path("host.jsonl")) if hit["src"] == own and hit["time"] >= since}

        def forwarded():
            send_through(running.address("guard", router), 80)
            return arrived()
        iptables("-I")  # some engines have their own rule in front of this wall
        try:
            send_through(running.address("guard"), 22)
            assert until(forwarded, 60), "the twin of the guard forwards nothing"
            assert arrived() == {80}, "the guard forwards packets"
        finally:
            iptables("-D")


# -- what the guard enforces: a manifest that demands less

@pytest.mark.touches_canaries
def test_agent_and_names_guard_and_internet_and_secrets(world, operator):
    """Every name may be resolved, every method and path is allowed, a special address is trusted, and the guard does not
    know the secret."""
    value = "va\"lue/" + os.urandom(16).hex()
    fixed = {"metadata.example.org": ["169.254.169.254"], "api.anthropic.com": [world_module.API_IP + ":443"]}
    session = operator.start("%s; %s; curl -sS -m 60 http://metadata.example.org/; MINE='%s'; %s" % (ASK_FOR_IT, OTHER_METHODS_AND_PATHS, value, ECHOES),
                             egress={"allow": ["*", {"host": "inspected.example.org", "inspect": True}], "hosts": fixed, "on_secret": "warn"})
    assert FORBIDDEN_NAME.lower() in world.names_asked(session.since), "test_a_forbidden_name_is_never_looked_up"
    asked = {(r["method"], r["path"]) for r in world.seen("inspected.example.org", session.since)}
    assert {("POST", "/ok/b"), ("GET", "/no")} <= asked, "test_rules_for_methods_and_paths_are_enforced"
    assert "CANARY" in session.out, "test_allowed_names_with_special_addresses_are_refused"
    assert value[8:] in session.out, "test_a_bound_secret_does_not_come_back"


def test_ssh_keys(world, operator):
    """An ssh-agent without the filter signs whatever it is asked to, and removes its keys."""
    key, where = os.path.join(operator.home, "key"), tempfile.mkdtemp(dir=operator.home)
    keygen(key)
    script = OTHER_REQUESTS.replace("/tmp/", where + "/").replace(FIRST, key + ".pub")
    done = subprocess.run(["ssh-agent", "sh", "-c", "ssh-add -q %s; mv %s %s.away; %s" % (key, key, key, script)], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    assert "sign 0" in done.stdout and "delete 0" in done.stdout, done


# -- what `bottle` does on the operator's machine: its work without the part that is the wall

def test_a_repository_and_the_operators_machine(trap):
    """git runs under the repository's own configuration and hooks. (test_repository_commands.py does this with every
    command that git can run.)"""
    repository = trap.repository("own")
    subprocess.run(["git", "status"], cwd=repository, capture_output=True)
    assert trap.ran(), "nothing runs even where git reads the configuration"


def test_downloaded_programs_and_the_operators_machine(tmp_path):
    """Starts what an image build has downloaded on this machine instead of in a container."""
    done = subprocess.run(["sh", "-c", fake_packages.LOOK % tmp_path], capture_output=True, text=True)
    assert str(tmp_path) in done.stdout and "cannot access" not in done.stdout, done
    assert "CapEff: 0000000000000000" not in done.stdout and "interfaces lo host" not in done.stdout, done


def test_other_users_and_the_operators_configuration(world, operator):
    """Uses the manifest of test_root_ignores_configuration_that_another_user_owns, but it belongs to root."""
    mark = world.path("ran-as-root-itself")
    secret = {"s": {"from": "cmd:id > %s; echo 0123456789" % mark, "hosts": ["allowed.example.org"]}}
    session = operator.start("true", secrets=secret)
    assert session.status == 0 and os.path.exists(mark), session.explain()


def test_work_that_comes_back(operator):
    """With `workspace: bind` the agent writes into the operator's repository itself."""
    session = operator.start(PLANT_COMMANDS, workspace="bind")
    assert session.status == 0, session.explain()
    assert os.path.exists(os.path.join(operator.workspace, ".git", "hooks", "post-checkout"))
    with open(os.path.join(operator.workspace, ".git", "config")) as file:
        assert "fsmonitor" in file.read()


def test_foreign_text_and_the_operators_terminal():
    """Uses a program that prints a name without quoting it."""
    done = subprocess.run(["printf", "%s", "the directory work " + EVIL], capture_output=True)
    with pytest.raises(AssertionError):
        assert_harmless(done.stdout, "printf")
    with pytest.raises(AssertionError):
        assert_harmless(("work x\n%s\n" % FORGED).encode(), "a line break alone")


def test_teardown_and_things_of_others(world, operator, before, precious):
    """Uses the same forged ledger, but with correct names and labels of a session. The things that it names are
    removed."""
    session = "deadbeef"
    where = os.path.join(world.state(operator.home), "sessions", session)
    volume = "bottle-%s-home" % session
    labels = {"bottle.session": session, "bottle.owner": dead_owner(), "bottle.ledger": where, "bottle.role": "home"}
    world.docker("volume", "create", *(word for pair in labels.items() for word in ("--label", "%s=%s" % pair)), volume)
    os.makedirs(where, 0o700)
    text = ledger_text(precious, session, os.path.join(world.state(operator.home), "results", session))
    records = [json.loads(line) for line in text.splitlines()]
    records = [{"owner": dead_owner()}, {"engine": world.socket}, {"make": [{"kind": "volume", "name": volume}]},
               *(r for r in records if "owner" not in r and "engine" not in r and "make" not in r and "work" not in r)]
    with open(os.path.join(where, "ledger"), "w") as file:
        file.write("".join(json.dumps(record) + "\n" for record in records))
    done = operator.bottle("cleanup")
    assert done.returncode == 0 and volume not in everything(world)[2], (done, everything(world))
    assert precious()
