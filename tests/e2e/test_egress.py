"""Tests what the guard lets through and what it refuses, as the agent sees it."""

import json
import os
import subprocess
import sys
import time

import pytest

import world as world_module
from attacks import ASK_FOR_IT, FORBIDDEN_NAME, OTHER_METHODS_AND_PATHS


def test_an_allowed_host_answers_and_a_forbidden_one_does_not(world, operator, runtime):
    session = operator.start(
        "curl -sS -m 60 https://allowed.example.org/hello; curl -sS -m 60 https://forbidden.example.net/; echo \"exit $?\"", runtime=runtime)
    assert "hello from allowed.example.org" in session.out, session.explain()
    assert "hello from forbidden" not in session.out and "exit 0" not in session.out
    assert [r["path"] for r in world.seen("allowed.example.org", session.since)] == ["/hello"]
    assert world.seen("forbidden.example.net", session.since) == []
    assert session.denials("forbidden.example.net"), session.audit()
    assert "forbidden.example.net" in session.err, "the report at the end names what was blocked"


def test_a_blind_tunnel(world, operator, runtime):
    # Only the session's own authority, without those that the operator adds.
    script = ("sed '/END CERTIFICATE/q' /run/bottle/ca.pem > /tmp/root.pem; curl -sS -m 60 --cacert /tmp/root.pem "
              "https://allowed.example.org/unknown-ca; curl -sS -m 60 https://allowed.example.org/x")
    session = operator.start(script, runtime=runtime, egress={"allow": ["allowed.example.org"]})
    assert "hello from allowed.example.org" in session.out, session.explain()
    assert [r["path"] for r in world.seen("allowed.example.org", session.since)] == ["/x"], "a blind tunnel shows the host's own certificate"


@pytest.mark.parametrize("trusted", [True, False])
def test_the_guard_trusts_the_roots_of_the_operators_machine(world, operator, trusted):
    session = operator.start("curl -sS -m 60 https://inspected.example.org/hello", env={"SSL_CERT_FILE": world.ca} if trusted else {},
                             egress={"allow": [{"host": "inspected.example.org", "inspect": True}], "extra_ca": []})
    assert ("hello from inspected.example.org" in session.out) == trusted, session.explain()


def test_a_forbidden_name_is_never_looked_up(world, operator):
    session = operator.start(ASK_FOR_IT)
    assert session.status == 0, session.explain()
    assert FORBIDDEN_NAME.lower() not in world.names_asked(session.since)


def test_plain_http_follows_the_same_rules(world, operator):
    session = operator.start(
        "curl -sS -m 60 http://allowed.example.org/plain; curl -sS -m 60 -o /dev/null -w '%{http_code}\\n' http://forbidden.example.net/")
    assert "hello from allowed.example.org" in session.out, session.explain()
    assert "403" in session.out
    assert world.seen("forbidden.example.net", session.since) == []


def test_allowed_names_with_special_addresses_are_refused(world, operator):
    names = list(world_module.REBOUND)
    script = "".join("curl -sS -m 60 -k https://%s/; curl -sS -m 60 http://%s/; " % (n, n) for n in names) + "true"
    session = operator.start(script, egress={"allow": names})
    assert "CANARY" not in session.out, session.explain()
    for name in names:
        assert session.denials(name), session.audit()


def test_allowed_names_do_not_lead_to_the_host_or_its_neighbors(world, operator):
    """Their addresses look like ordinary public ones."""
    names = list(world_module.BESIDE)
    script = "".join("curl -sS -m 60 -k https://%s/; curl -sS -m 60 http://%s/; curl -sS -m 60 -p -x $https_proxy http://%s:22/; " % ((n,) * 3) for n in names) + "true"
    session = operator.start(script, egress={"allow": [{"host": n, "ports": [22, 80, 443]} for n in names]})
    assert session.status == 0 and "CANARY" not in session.out, session.explain()
    for name in names:
        denied = session.denials(name)
        assert denied and all(entry["code"] == "address" for entry in denied), session.audit()
    assert "an address of the machine that the guard runs on" in session.denials("host.example.org")[0]["reason"]
    assert "in a local network of the machine that the guard runs on" in session.denials("neighbor.example.org")[0]["reason"]


@pytest.fixture
def global_ipv6(world):
    """The host is in a network of global IPv6 addresses. A canary is its neighbor."""
    ends = [(world.host_ns, world_module.PUBLIC_IP6), (world.net_ns, world_module.NEIGHBOR_IP6)]
    for ns, address in ends:
        world_module.run("ip", "-n", ns, "-6", "addr", "add", address + "/64", "dev", "up0", "nodad")
    canary = world.spawn(world.net_ns, sys.executable, os.path.join(world_module.HERE, "canary.py"), "--log", world.path("net.jsonl"),
                         "--bind", world_module.NEIGHBOR_IP6, "--ports", "80")
    yield
    canary.terminate()
    canary.wait()
    for ns, address in ends:
        world_module.run("ip", "-n", ns, "-6", "addr", "del", address + "/64", "dev", "up0")


def test_allowed_names_do_not_lead_to_the_host_or_its_neighbors_over_ipv6(world, operator, until, global_ipv6):
    """A guard without Docker has the host's IPv6, as the near side's broker has."""
    names = list(world_module.BESIDE6)
    config, audit = world.path("guard6.yaml"), world.path("guard6.jsonl")
    with open(config, "w") as file:
        json.dump({"egress": {"allow": names}}, file)
    command = world.command("guard", "run", "--protect-host", "--listen", "127.0.0.1:3199", "--config", config, "--audit", audit,
                            "--resolver", world_module.DNS_IP + ":53")
    guard = subprocess.Popen(command, env=world.environment(home=operator.home), stderr=subprocess.DEVNULL)
    try:
        def ask(name):
            return subprocess.run([*world.command()[:3], "curl", "-sS", "-m", "60", "-x", "http://127.0.0.1:3199", "http://%s/" % name],
                                  capture_output=True, text=True)
        assert until(lambda: ask("forbidden.example.net").returncode == 0, 20)  # it answers
        out = "".join(ask(name).stdout for name in names)
    finally:
        guard.terminate()
        guard.wait()
    reasons = {line["host"]: line["reason"] for line in world_module.read_jsonl(audit) if line.get("code") == "address"}
    assert "CANARY" not in out, (out, reasons)
    assert "an address of the machine" in reasons["host6.example.org"], reasons
    assert "in a local network of the machine" in reasons["neighbor6.example.org"], reasons


@pytest.mark.touches_canaries
def test_a_neighbor_that_the_operator_names_is_allowed(world, operator):
    session = operator.start("curl -sS -m 60 http://neighbor.example.org/; curl -sS -m 60 http://printer.bottle/", egress={
        "allow": ["neighbor.example.org"], "hosts": {"neighbor.example.org": [world_module.NEIGHBOR_IP]},
        "lan": [{"name": "printer.bottle", "to": world_module.NEIGHBOR_IP + ":80"}]})
    assert session.out.count("CANARY") == 2, session.explain()


@pytest.mark.touches_canaries
def test_the_guard_learns_when_its_host_changes_networks(world, operator, until):
    """The name's address is a neighbor's only after the move."""
    since = time.time()
    world_module.run("ip", "-n", world.host_ns, "addr", "del", world_module.PUBLIC_IP + "/24", "dev", "up0")
    try:
        script = "until [ $(curl -sS -m 10 -o /dev/null -w '%{http_code}' http://neighbor.example.org/) = 403 ]; do sleep 0.5; done; echo refused"
        process = operator.background(script, egress={"allow": ["neighbor.example.org"]})
        assert until(lambda: any(hit["kind"] == "tcp" and hit["dst"] == world_module.NEIGHBOR_IP for hit in world.hits(since)), 60)
    finally:
        world_module.run("ip", "-n", world.host_ns, "addr", "add", world_module.PUBLIC_IP + "/24", "dev", "up0")
    out, err = process.communicate(timeout=360)
    assert process.returncode == 0 and "refused" in out, (out, err)


def test_raw_addresses_are_refused_in_every_spelling(operator):
    spellings = ["169.254.169.254", "0xa9fea9fe", "2852039166", "0251.0376.0251.0376", "[::ffff:169.254.169.254]", "127.0.0.1", "127.1",
                 "localhost", "0", "[::1]", "[64:ff9b::a9fe:a9fe]", "203.0.113.2"]
    script = "for to in %s; do for scheme in http https; do curl -g -k -sS -m 8 --proxy \"$https_proxy\" $scheme://$to/ && echo REACHED $to; done; done; true" % (
        " ".join("'%s'" % s for s in spellings))
    session = operator.start(script, egress={"allow": ["*"]})
    assert session.status == 0, session.explain()
    assert "CANARY" not in session.out


def test_rules_for_methods_and_paths_are_enforced(world, operator):
    rule = {"host": "inspected.example.org", "methods": ["GET"], "paths": ["/ok/**"]}
    session = operator.start(OTHER_METHODS_AND_PATHS, egress={"allow": [rule]})
    assert session.out.split()[:3] == ["200", "403", "403"], session.explain()
    assert [(r["method"], r["path"]) for r in world.seen("inspected.example.org", session.since)] == [("GET", "/ok/a")]


def test_a_tunnel_carries_tls_to_its_own_host_only(world, operator):
    script = r"""
trap '' PIPE  # the guard may close before all is said
hostport=${https_proxy#http://}; hostport=${hostport%/}; guard=${hostport%:*}; port=${hostport##*:}
exec 3<>/dev/tcp/$guard/$port
printf 'CONNECT allowed.example.org:443 HTTP/1.1\r\nHost: allowed.example.org:443\r\n\r\n' >&3
read -t 10 line <&3; echo "connect: $line"
printf 'GET /not-tls HTTP/1.1\r\nHost: allowed.example.org\r\n\r\n' >&3
timeout 10 cat <&3 >/dev/null; exec 3>&-
curl -sS -m 10 -k --connect-to forbidden.example.net:443:allowed.example.org:443 https://forbidden.example.net/fronted
curl -sS -m 10 -k -o /dev/null -w 'port %{http_code}\n' https://allowed.example.org:2375/
true
"""
    session = operator.start(script)
    assert session.status == 0, session.explain()
    assert world.seen("allowed.example.org", session.since) == []


def test_a_download_through_inspection_arrives_whole(operator):
    session = operator.start("curl -sS -m 400 https://inspected.example.org/bytes/50000000 | wc -c",
                             egress={"allow": [{"host": "inspected.example.org", "inspect": True}]})
    assert session.out.split() == ["50000000"], session.explain()


MANY = r"""
cat > /tmp/many.py <<'P'
import asyncio, os, sys
guard, port = os.environ["https_proxy"].removeprefix("http://").rstrip("/").split(":")
async def one(i):
    for _ in range(3):
        try:
            reader, writer = await asyncio.wait_for(asyncio.open_connection(guard, int(port)), 120)
            break
        except OSError as error:
            print("again", i, error, file=sys.stderr)
    writer.write(b"CONNECT allowed.example.org:443 HTTP/1.1\r\nHost: allowed.example.org:443\r\n\r\n" if i % 2 else
                 b"GET http://allowed.example.org/many HTTP/1.1\r\nHost: allowed.example.org\r\nConnection: close\r\n\r\n")
    await writer.drain()
    line = await asyncio.wait_for(reader.readline(), 240)
    await held.wait()
    writer.close()
    return line
async def main():
    global held
    held = asyncio.Event()
    tasks = [asyncio.create_task(one(i)) for i in range(200)]
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(float(sys.argv[1]), held.set)
    lines = await asyncio.gather(*tasks, return_exceptions=True)
    good = sum(isinstance(line, bytes) and line.startswith(b"HTTP/1.1 200") for line in lines)
    print("good", good, {repr(line) for line in lines if not isinstance(line, bytes) or not line.startswith(b"HTTP/1.1 200")})
asyncio.run(main())
P
python3 /tmp/many.py 5
"""


def test_two_hundred_connections_at_once(operator, runtime):
    session = operator.start(MANY, runtime=runtime)
    assert session.status == 0 and "good 200 set()" in session.out, session.explain()
