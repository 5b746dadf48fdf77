"""Tests egress.lan: one service of the local network is reachable, with methods and paths, and the rest of that network
is not."""

import os
import sys

import pytest

import world as world_module

STARTED = set()


@pytest.fixture
def service(world):
    """Starts the operator's tracker at a private address: plain on port 8080, with TLS on 8443, and on 8081 a service
    that must stay unreachable."""
    if id(world) not in STARTED:
        STARTED.add(id(world))
        site = os.path.join(world_module.STANDIN, "site.py")
        for port, tls in ((8080, []), (8081, []), (8443, ["--cert", world.path("leaf.pem"), "--key", world.path("leaf.key")])):
            world.spawn(world.net_ns, sys.executable, site, "--listen", "%s:%d" % (world_module.LAN_IP, port), *tls, "--log", world.path("lan-%d.jsonl" % port))
    return world_module.LAN_IP


def test_only_the_listed_lan_service_is_reachable(world, operator, service, runtime):
    route = {"name": "tracker.bottle", "to": service + ":8080", "methods": ["GET"], "paths": ["/issues/**"]}
    session = operator.start(
        "get() { curl -sS -m 60 -o /dev/null -w \"%%{http_code} $*\\n\" \"$@\"; }; "
        "curl -sS -m 60 http://tracker.bottle/issues/7; get -X POST http://tracker.bottle/issues/7; get http://tracker.bottle/admin; "
        "get http://tracker.bottle/issues/../admin --path-as-is; get http://tracker.bottle:8081/issues/1; get http://%s:8080/issues/8; get http://lan.example.org/issues/; "
        "get https://tracker.bottle/issues/9; true" % service, runtime=runtime, egress={"allow": ["allowed.example.org", "lan.example.org"], "lan": [route]})
    assert session.status == 0, session.explain()
    assert "hello from" in session.out, session.explain()
    assert session.out.count("403 ") == 6, session.explain()  # and the https one never connects
    assert [(r["method"], r["path"]) for r in world.seen("lan-8080", session.since)] == [("GET", "/issues/7")]
    assert world.seen("lan-8081", session.since) == []


def test_a_lan_service_with_tls_is_inspected(world, operator, service):
    route = {"name": "lan.example.org", "to": service + ":8443", "tls": True, "methods": ["GET"]}
    session = operator.start("curl -sS -m 60 https://lan.example.org/x; curl -sS -m 60 -o /dev/null -w '%{http_code}\\n' -X POST https://lan.example.org/y", egress={"lan": [route]})
    assert "hello from" in session.out and "403" in session.out, session.explain()
    assert [(r["method"], r["path"]) for r in world.seen("lan-8443", session.since)] == [("GET", "/x")]


@pytest.mark.parametrize("to, says", [("127.0.0.1:80", "not an address of the local network"), ("169.254.169.254:80", "not an address of the local network"), ("tracker.lan:80", "is a name")])
def test_an_invalid_lan_service_starts_nothing(operator, to, says):
    session = operator.start("true", egress={"lan": [{"name": "tracker.bottle", "to": to}]})
    assert session.status == 125 and says in session.err, session.explain()
