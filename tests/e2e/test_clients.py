"""Real programs through the guard. Most run on this machine, behind `bottle guard run` and with the variables that a session
gives its agent; a program that is not installed is skipped."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from client_programs import PROGRAMS
from local_guard import BOTTLE, Server, need, run
from operators import wait_for


@pytest.fixture(scope="module")
def variables(world, tmp_path_factory):
    """Returns a function that returns a session's variables as they would be for another guard."""
    from operators import Operator
    session = Operator(world, str(tmp_path_factory.mktemp("home"))).start("env")
    assert session.status == 0, session.explain()
    found = dict(line.split("=", 1) for line in session.out.splitlines() if "=" in line)
    proxy = re.match(r"http://([0-9.]+):3128", found["https_proxy"]).group(1)

    def behind(guard):
        env = {"PATH": os.environ["PATH"], "HOME": guard.directory}
        for name, value in found.items():
            if proxy in value or "/run/bottle" in value or name == "NODE_USE_ENV_PROXY":
                value = value.replace("/run/bottle", guard.directory)
                env[name] = value.replace(proxy + ":3128", "127.0.0.1:%d" % guard.port).replace(proxy, "127.0.0.1").replace(
                    "Port=3128", "Port=%d" % guard.port)
        return env

    return behind


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_works_through_an_inspecting_guard(name, guard, pki, variables, tmp_path):
    program = PROGRAMS[name]
    path = need(program.argv[0] if program.argv[0] != "sh" else name)
    if name == "playwright":
        need("chromium")
    server = Server(pki[1], pages=program.pages)
    through = guard(egress={"allow": [{"host": "site.example.org", "inspect": True}], "hosts": {"site.example.org": server.at}})
    env = variables(through)
    for file, text in program.files.items():
        (tmp_path / file).write_text(text)
    if name in ("java", "mvn", "gradle"):
        store = run("keytool", "-importcert", "-noprompt", "-alias", "a", "-file", through.ca, "-keystore",
                    str(tmp_path / "java-trust.jks"), "-storetype", "JKS", "-storepass", "changeit")
        assert store.returncode == 0, store.stdout + store.stderr
    if name in ("chromium", "playwright"):
        database = "sql:" + str(tmp_path / ".pki" / "nssdb")
        os.makedirs(database[4:])
        for words in (["-N", "--empty-password"], ["-A", "-n", "a", "-t", "C,,", "-i", through.ca]):
            assert run("certutil", "-d", database, *words).returncode == 0
    env.update({key: value.format(directory=tmp_path) for key, value in program.env.items()})
    env["PATH"] = os.pathsep.join([os.path.dirname(path), env["PATH"]])
    argv = [word.replace("{ca}", env["SSL_CERT_FILE"]) for word in program.argv]
    got = run(*argv, env=env, cwd=tmp_path, timeout=4 * program.seconds)  # a busy machine
    server.close()
    assert program.want in got.stdout + got.stderr, (got, server.seen, through.audit())
    assert any(line["kind"] == "http" and line["action"] == "allow" for line in through.audit()), through.audit()


def trusted_by_nss(home, database):
    """Checks the database that NSS reads, which the session has made, with NSS's own program."""
    if not shutil.which("certutil"):
        return
    directory = os.path.join(home, "nssdb")
    os.makedirs(directory)
    with open(os.path.join(directory, "cert9.db"), "wb") as file:
        file.write(base64.b64decode(database))
    assert run("certutil", "-d", "sql:" + directory, "-N", "--empty-password").returncode == 0
    listed = run("certutil", "-d", "sql:" + directory, "-L")
    assert re.search(r"^bottle +C,,", listed.stdout, re.MULTILINE), listed
    checked = run("certutil", "-d", "sql:" + directory, "-V", "-u", "L", "-n", "bottle")
    assert "certificate is valid" in checked.stdout, checked


@pytest.mark.skipif("BOTTLE_CLIENT_TOOLS" not in os.environ, reason="installs a browser in an image: run scripts/check-clients")
def test_a_browser_in_a_bottle_trusts_the_session(world, operator):
    config = {"packages": ["chromium"], "egress": {"allow": [{"host": "inspected.example.org", "inspect": True}]}}
    env = world.environment(operator.config(**config), operator.home)
    built = subprocess.run([BOTTLE, "image", "build", "shell", "--package", "chromium"], env=env, timeout=3000)
    assert built.returncode == 0
    session = operator.start("timeout 90 chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage "
                             "--dump-dom https://inspected.example.org/ 2>/dev/null", **config)
    assert "hello from inspected.example.org" in session.out, session.explain()


def test_programs_without_variables_trust_the_session(world, operator):
    """The system's own store has the session's authority, so that a program that is told only the proxy gets through."""
    ask = "env -i PATH=$PATH https_proxy=$https_proxy "
    url = "https://inspected.example.org/"
    apt = ("apt-get -o Dir=/tmp/apt -o Dir::State::status=/dev/null -o Acquire::Retries=0 update; ")
    script = ("mkdir -p /tmp/apt/etc/apt /tmp/apt/var/lib/apt/lists/partial /tmp/apt/var/cache/apt/archives/partial; "
              + "echo 'deb [trusted=yes] " + url + "apt ./' > /tmp/apt/etc/apt/sources.list; " + ask + apt
              + ask + "curl -sS -m 20 " + url + "curl; "
              + ask + "python3 -c \"import urllib.request as u; print(u.urlopen('" + url + "python').read().decode())\"; "
              + "base64 -w0 /run/bottle/java-trust.jks; echo; base64 -w0 ~/.pki/nssdb/cert9.db; echo; grep -c BEGIN /run/bottle/ca-bundle.pem; cat /run/bottle/ca.pem")
    session = operator.start(script, egress={"allow": [{"host": "inspected.example.org", "inspect": True}]})
    assert session.status == 0, session.explain()
    lines = session.out.splitlines()
    assert sum("hello from inspected.example.org" in line for line in lines) == 2, session.explain()
    assert any(seen["path"].startswith("/apt/") for seen in world.seen("inspected.example.org", session.since)), session.explain()
    store, database = (line for line in lines if len(line) > 1000)
    count = int(lines[lines.index(database) + 1])
    assert count > 100, "the image's own authorities are there too"
    trusted_by_nss(operator.home, database)
    if not shutil.which("keytool"):
        pytest.skip("keytool is not installed: Java's store was not read")
    path = os.path.join(operator.home, "java-trust.jks")
    with open(path, "wb") as file:
        file.write(base64.b64decode(store))
    listed = run("keytool", "-list", "-keystore", path, "-storepass", "changeit")
    assert listed.stdout.count("trustedCertEntry") == count, (count, listed.stdout[:500], listed.stderr)


@pytest.mark.parametrize("name", ["curl", "python-requests", "node"])
def test_a_refusal_reaches_a_program_that_uploads(name, guard, pki, tmp_path):
    through = guard(egress={"allow": [{"host": "site.example.org", "methods": ["GET"]}], "hosts": {"site.example.org": "127.0.0.1:1"}})
    (tmp_path / "big").write_bytes(b"x" * (20 << 20))
    argv = {
        "curl": ["curl", "-sS", "-o", "answer", "-w", "%{http_code}", "--data-binary", "@big", "{}"],
        "python-requests": ["python3", "-c", "import sys; from pip._vendor import requests as r; "
                            "print(r.post(sys.argv[1], data=open('big', 'rb').read()).status_code)", "{}"],
        "node": ["node", "-e", "fetch(process.argv[1], {method: 'POST', body: require('fs').readFileSync('big')})"
                 ".then(r => console.log(r.status), e => console.log(e.cause))", "{}"],
    }[name]
    need(argv[0])
    env = {"PATH": os.environ["PATH"], "https_proxy": through.url, "NODE_USE_ENV_PROXY": "1", "NODE_EXTRA_CA_CERTS": through.ca,
           "REQUESTS_CA_BUNDLE": through.ca, "CURL_CA_BUNDLE": through.ca}
    got = run(*(word.replace("{}", "https://site.example.org/") for word in argv), env=env, cwd=tmp_path)
    assert got.stdout.strip() == "403", got


def test_the_code_reaches_programs_that_print_only_the_reason_phrase(guard):
    through = guard(egress={"allow": ["site.example.org"]})
    env = {"PATH": os.environ["PATH"], "https_proxy": through.url, "http_proxy": through.url}
    for argv in (["python3", "-c", "import urllib.request as u; u.urlopen('https://other.example.net/')"],
                 ["wget", "-nv", "-O-", "http://other.example.net/"]):
        if not shutil.which(argv[0]):
            continue
        got = run(*argv, env=env)
        assert "bottle not_allowed" in got.stderr, got


@pytest.mark.parametrize("hosts,url", [
    ({"2001:db8::7": "{}"}, "https://[2001:db8::7]/"), ({"[2001:DB8:0::7]": "{}"}, "https://[2001:db8::7]/"),
    ({"site.example.org": "{}"}, "https://site.example.org/")])
def test_hosts_can_be_pinned_to_ipv6_addresses(hosts, url, guard, pki):
    try:
        server = Server(pki[1], host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    for inspect in (False, True):
        through = guard(egress={"allow": [{"host": host, **({"inspect": True} if inspect else {})} for host in hosts],
                                "hosts": {host: to.format(server.at) for host, to in hosts.items()}})
        got = run("curl", "-g", "-sS", "-x", through.url, "--cacert", os.path.join(through.directory, "ca-bundle.pem"), url)
        assert got.stdout == "ok", (got, through.audit())
        through.close()
    server.close()


def test_a_guard_signs_in_to_a_parent_proxy(guard):
    parent, heads = Server(), []
    parent.serve = lambda connection: (heads.append(connection.recv(65536)), connection.sendall(parent.answer()), connection.close())
    through = guard(egress={"allow": ["site.example.org"], "parent_proxy": "http://me%40corp:p%40ss%2Fw0rd!@" + parent.at})
    got = run("curl", "-sS", "-x", through.url, "http://site.example.org/")
    parent.close()
    assert got.stdout == "ok", (got, through.audit())
    assert b"Proxy-Authorization: Basic " + base64.b64encode(b"me@corp:p@ss/w0rd!") in heads[0]
    assert "p@ss" not in json.dumps(through.audit())


def test_a_login_at_a_parent_proxy_comes_from_a_secret(guard, tmp_path):
    parent, heads = Server(), []
    parent.serve = lambda connection: (heads.append(connection.recv(65536)), connection.sendall(parent.answer()), connection.close())
    (tmp_path / "login").write_text("me@corp:p@ss/w0rd!\n")
    through = guard(egress={"allow": ["site.example.org"], "parent_proxy": "http://" + parent.at,
                            "parent_proxy_login": "file:%s" % (tmp_path / "login")})
    got = run("curl", "-sS", "-x", through.url, "http://site.example.org/")
    parent.close()
    assert got.stdout == "ok", (got, through.audit())
    assert b"Proxy-Authorization: Basic " + base64.b64encode(b"me@corp:p@ss/w0rd!") in heads[0]
    assert "p@ss" not in json.dumps(through.audit())


def test_a_guard_reads_its_configuration_again(guard):
    through = guard(egress={"allow": ["site.example.org"]})
    file, log = (os.path.join(through.directory, name) for name in ("guard.json", "log"))

    def status(host):
        return run("curl", "-sS", "-o", os.devnull, "-w", "%{http_code}", "-x", through.url, "http://%s/" % host).stdout

    def reload(text, answer):
        with open(file, "w") as out:
            out.write(text)
        before = open(log).read().count(answer)
        through.process.send_signal(signal.SIGHUP)
        assert wait_for(lambda: open(log).read().count(answer) > before, 30), open(log).read()

    assert status("other.example.net") == "403"
    reload(json.dumps({"egress": {"allow": ["other.example.net"], "hosts": {"other.example.net": "127.0.0.1:1"}}}), "read again")
    assert (status("site.example.org"), status("other.example.net")) == ("403", "502")
    for wrong in ("egress: {allow: [", json.dumps({"egress": {"allow": ["site.example.org"], "nonsense": 1}}),
                  json.dumps({"egress": {"allow": ["site.example.org"]}, "secrets": {"a": {"from": "file:/nowhere", "hosts": ["site.example.org"]}}})):
        reload(wrong, "the rules stay as they were")
        assert (status("site.example.org"), status("other.example.net")) == ("403", "502")
    # The programs of a reload do not inherit the files that the guard writes.
    inherited = os.path.join(through.directory, "inherited")
    lists = {"a": {"from": "cmd:readlink /proc/self/fd/* > %s; echo a-long-value" % inherited, "hosts": ["site.example.org"]}}
    reload(json.dumps({"egress": {"allow": ["site.example.org"]}, "secrets": lists}), "read again")
    opened = open(inherited).read().split()
    assert inherited in opened and through.audit_file not in opened and through.ca not in opened, opened
    asks = {"a": {"from": "?the token", "hosts": ["site.example.org"]}}
    reload(json.dumps({"egress": {"allow": ["site.example.org"]}, "secrets": asks}), "so start it again")
