"""Tests a guard behind a real proxy that needs a user and a password."""

import json
import os
import shutil
import time

import pytest

import world as world_module
from look import make_file
from values import files_with

CONFIG = """Port 8888
Listen %s
Timeout 60
MaxClients 20
BasicAuth me %s
ConnectPort 443
"""


@pytest.fixture
def parent(world, tmp_path, until):
    """Starts a tinyproxy on the world's internet. Yields the password that it needs."""
    if not shutil.which("tinyproxy"):
        pytest.skip("tinyproxy is not installed (scripts/setup does it)")
    password = "pw" + os.urandom(12).hex()
    (tmp_path / "tinyproxy.conf").write_text(CONFIG % (world_module.NET_IP, password))
    (tmp_path / "hosts").write_text("".join("%s %s\n" % (ip, name) for name, ip in world_module.SITES.items()))
    # tinyproxy asks the machine's resolver, which does not know the world.
    script = "mount --bind %s/hosts /etc/hosts && exec tinyproxy -d -c %s/tinyproxy.conf" % (tmp_path, tmp_path)
    child = world.spawn(world.net_ns, "unshare", "-m", "sh", "-c", script, ready=False)
    ask = ("nsenter", "--net=/run/netns/" + world.host_ns, "--", "curl", "-s", "-o", "/dev/null", "http://%s:8888/" % world_module.NET_IP)
    assert until(lambda: world_module.run(*ask, check=False).returncode == 0, 60), "tinyproxy does not answer"
    yield password
    child.terminate()
    child.wait(360)


FETCH = "curl -sS -m 20 https://allowed.example.org/tls; curl -sS -m 20 http://allowed.example.org/plain; "


def test_a_guard_signs_in_to_a_proxy_with_a_secret(world, operator, parent, until):
    egress = {"parent_proxy": "http://%s:8888" % world_module.NET_IP, "parent_proxy_login": "env:PROXY_LOGIN"}
    env = {"PROXY_LOGIN": "me:" + parent}
    plan = operator.bottle("start", "a", "--dry-run", "--json", "--headless", "-p", "x", config=operator.config(egress=egress), env=env)
    assert plan.returncode == 0 and parent not in plan.stdout + plan.stderr, plan
    assert "with a login" in operator.bottle("start", "a", "--dry-run", "--headless", "-p", "x", config=operator.config(egress=egress),
                                             env=env).stdout
    since = time.time()
    process = operator.background(FETCH + "env; until [ -e /tmp/go ]; do sleep 0.1; done", egress=egress, variables=env)
    try:
        assert until(lambda: len(world.seen("allowed.example.org", since)) >= 2 or process.poll() is not None, 60)
        ours = [c for c in world.engine("GET", "/containers/json") if c["Labels"].get("bottle.role") in ("agent", "guard")]
        assert len(ours) == 2, process.communicate(timeout=360)
        for container in ours:
            assert parent not in world.engine("GET", "/containers/%s/json" % container["Id"], raw=True)
            assert parent not in world.docker("top", container["Id"], check=False).stdout
        agent = next(c["Id"] for c in ours if "guard" not in c["Names"][0])
        make_file(world, agent, "/tmp/go")
        out, err = process.communicate(timeout=360)
    finally:
        process.kill()
    assert process.returncode == 0 and out.count("hello from allowed.example.org") == 2, (out, err)
    assert parent not in out + err and "PROXY_LOGIN" not in out
    assert files_with([parent.encode()], operator.home) == []
    assert parent not in operator.bottle("logs", "--egress").stdout


def test_a_wrong_password_is_reported_but_not_printed(operator, parent):
    egress = {"parent_proxy": "http://%s:8888" % world_module.NET_IP, "parent_proxy_login": "env:PROXY_LOGIN"}
    session = operator.start(FETCH + "true", egress=egress, env={"PROXY_LOGIN": "me:wrong-one"})
    assert "hello from" not in session.out, session.explain()
    assert any("egress.parent_proxy_login" in line.get("reason", "") for line in session.audit()), session.audit()
    assert "wrong-one" not in session.out + session.err + json.dumps(session.audit())
