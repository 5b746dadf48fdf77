"""Real programs through the guard. Most run on this machine, behind `bottle guard run` and with the variables that a session
gives its agent; a program that is not installed is skipped."""

import base64
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading

import pytest
from operators import wait_for

BOTTLE = os.path.abspath(os.environ.get("BOTTLE", "build/release/bottle"))
JAVA = """import java.net.*;
public class Get { public static void main(String[] a) throws Exception {
  System.out.println(((HttpURLConnection) new URI(a[0]).toURL().openConnection()).getResponseCode()); } }
"""


def run(*argv, **kw):
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, **kw)


def need(program):
    """Skips the test, and says why, if this machine lacks the program or has one that ignores the variables of a proxy."""
    if not shutil.which(program):
        pytest.skip("%s is not installed (scripts/setup does it)" % program)
    if program == "node" and run("node", "-p", "process.allowedNodeEnvironmentFlags.has('--use-env-proxy')").stdout != "true\n":
        pytest.skip("this version of node does not read NODE_USE_ENV_PROXY (docs/guard.md)")


class Server:
    """Answers every request at its end; `seen` has the first lines. Speaks TLS if it has a certificate."""

    def __init__(self, certificate=None, host="127.0.0.1", answer=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"):
        self.listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.port = self.listener.getsockname()[1]
        self.at = ("[%s]:%d" if ":" in host else "%s:%d") % (host, self.port)
        self.context, self.answer, self.seen = None, answer, []
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*certificate)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as lines:
                head = []
                while (line := lines.readline()).strip():
                    head.append(line.decode("latin-1").strip())
                if head:
                    self.seen.append(head[0])
                    connection.sendall(self.answer)
        except OSError:
            pass

    def close(self):
        self.listener.close()


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """A certificate of an authority of its own, for all names of these tests; and that authority's."""
    directory = tmp_path_factory.mktemp("pki")
    ca, key, leaf = (str(directory / name) for name in ("ca.pem", "key.pem", "leaf.pem"))
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = "subjectAltName=DNS:*.example.org,IP:2001:db8::7"
    (directory / "ext").write_text(names + "\nextendedKeyUsage=serverAuth\n")
    for argv in (
        ["req", "-x509", *curve, "-subj", "/CN=Test CA", "-days", "2", "-keyout", key + ".ca", "-out", ca],
        ["req", *curve, "-subj", "/CN=test", "-keyout", key, "-out", leaf + ".csr"],
        ["x509", "-req", "-in", leaf + ".csr", "-CA", ca, "-CAkey", key + ".ca", "-CAcreateserial", "-days", "2", "-out", leaf,
         "-extfile", str(directory / "ext")],
    ):
        made = run("openssl", *argv)
        assert made.returncode == 0, made.stderr
    return ca, (leaf, key)


class Guard:
    def __init__(self, directory, ca, config, env=None):
        self.directory = str(directory)
        self.ca, self.audit_file, log = (os.path.join(self.directory, name) for name in ("ca.pem", "audit", "log"))
        with open(os.path.join(self.directory, "guard.json"), "w") as file:
            json.dump(config, file)
        with open(log, "w") as out:
            self.process = subprocess.Popen(
                [BOTTLE, "guard", "run", "--listen", "127.0.0.1:0", "--config", os.path.join(self.directory, "guard.json"), "--ca-out",
                 self.ca, "--upstream-ca", ca, "--audit", self.audit_file], stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                env={**os.environ, **(env or {})})

        def listening():
            with open(log) as file:
                return re.search(r"listening on \S+:(\d+)", file.read())

        assert wait_for(listening, 30), open(log).read()
        self.port = int(listening().group(1))
        self.url = "http://127.0.0.1:%d" % self.port
        with open(os.path.join(self.directory, "ca-bundle.pem"), "w") as bundle:
            bundle.write(open(self.ca).read() + open(ca).read())

    def audit(self):
        with open(self.audit_file) as file:
            return [json.loads(line) for line in file]

    def close(self):
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def guard(tmp_path, pki):
    made = []

    def make(**config):
        made.append(Guard(tmp_path, pki[0], config))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(scope="module")
def variables(world, tmp_path_factory):
    """A function that gives a session's variables, as they would be behind another guard."""
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


# Each asks for the URL, and prints the body (ok) or the status (200).
PROGRAMS = {
    "curl": ["curl", "-sS", "{}"],
    "wget": ["wget", "-qO-", "--no-hsts", "{ca}", "{}"],
    "python": ["python3", "-c", "import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())", "{}"],
    "pip": ["python3", "-c", "import sys; from pip._vendor import requests as r; print(r.get(sys.argv[1]).text)", "{}"],
    "node": ["node", "-e", "fetch(process.argv[1]).then(r=>r.text()).then(console.log)", "{}"],
    "npm": ["npm", "view", "left", "version", "--registry", "{}", "--fetch-retries=0"],
    "git": ["git", "ls-remote", "{}"],
    "java": ["java", "Get.java", "{}"],
    "go": ["go", "list", "-m", "-json", "example.org/left@v1.0.0"],
}
NPM = json.dumps({"name": "left", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": {"name": "left", "version": "1.0.0"}}})


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_gets_through_an_inspecting_guard(name, guard, pki, variables, tmp_path):
    argv = PROGRAMS[name]
    need(argv[0])
    body, want = {"npm": (NPM.encode(), "1.0.0"), "git": (b"0" * 39 + b"1\trefs/heads/ok\n", "refs/heads/ok"), "java": (b"ok", "200"),
                  "go": (b'{"Version": "v1.0.0"}', "v1.0.0")}.get(name, (b"ok", "ok"))
    server = Server(pki[1], answer=b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
    through = guard(egress={"allow": [{"host": "site.example.org", "inspect": True}], "hosts": {"site.example.org": server.at}})
    env = variables(through)
    (tmp_path / "Get.java").write_text(JAVA)
    if name == "npm":  # a repository's own authority must not keep npm from the registry
        (tmp_path / ".npmrc").write_text("cafile=%s\n" % pki[1][0])
        (tmp_path / "package.json").write_text("{}")
    if name == "java":
        store = run("keytool", "-importcert", "-noprompt", "-alias", "a", "-file", through.ca, "-keystore",
                    str(tmp_path / "java-trust.jks"), "-storetype", "JKS", "-storepass", "changeit")
        assert store.returncode == 0, store.stdout + store.stderr
    env.update(GOPROXY="https://site.example.org", GOSUMDB="off", GOPATH=str(tmp_path / "go"), GOFLAGS="-mod=mod", GOTOOLCHAIN="local")
    words = {"{}": "https://site.example.org/", "{ca}": "--ca-certificate=" + env["SSL_CERT_FILE"]}
    got = run(*(words.get(word, word) for word in argv), env=env, cwd=tmp_path)
    server.close()
    assert want in got.stdout, (got, through.audit())
    assert any(line["kind"] == "http" and line["action"] == "allow" for line in through.audit()), through.audit()


def test_programs_without_variables_trust_the_session(operator):
    """The system's own store has the session's authority, so that a program that is told only the proxy gets through."""
    ask = "env -i PATH=$PATH https_proxy=$https_proxy "
    url = "https://inspected.example.org/"
    script = (ask + "curl -sS -m 20 " + url + "curl; "
              + ask + "python3 -c \"import urllib.request as u; print(u.urlopen('" + url + "python').read().decode())\"; "
              + "base64 -w0 /run/bottle/java-trust.jks; echo; grep -c BEGIN /run/bottle/ca-bundle.pem; cat /run/bottle/ca.pem")
    session = operator.start(script, egress={"allow": [{"host": "inspected.example.org", "inspect": True}]})
    assert session.status == 0, session.explain()
    lines = session.out.splitlines()
    assert sum("hello from inspected.example.org" in line for line in lines) == 2, session.explain()
    store = next(line for line in lines if len(line) > 1000)
    count = int(lines[lines.index(store) + 1])
    assert count > 100, "the image's own authorities are there too"
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


def test_the_code_reaches_what_prints_only_the_reason(guard):
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
def test_ipv6_addresses_can_be_fixed(hosts, url, guard, pki):
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
    parent.serve = lambda connection: (heads.append(connection.recv(65536)), connection.sendall(parent.answer), connection.close())
    through = guard(egress={"allow": ["site.example.org"], "parent_proxy": "http://me%40corp:p%40ss%2Fw0rd!@" + parent.at})
    got = run("curl", "-sS", "-x", through.url, "http://site.example.org/")
    parent.close()
    assert got.stdout == "ok", (got, through.audit())
    assert b"Proxy-Authorization: Basic " + base64.b64encode(b"me@corp:p@ss/w0rd!") in heads[0]
    assert "p@ss" not in json.dumps(through.audit())


def test_a_login_at_a_parent_proxy_comes_from_a_secret(guard, tmp_path):
    parent, heads = Server(), []
    parent.serve = lambda connection: (heads.append(connection.recv(65536)), connection.sendall(parent.answer), connection.close())
    (tmp_path / "login").write_text("me@corp:p@ss/w0rd!\n")
    through = guard(egress={"allow": ["site.example.org"], "parent_proxy": "http://" + parent.at,
                            "parent_proxy_login": "file:%s" % (tmp_path / "login")})
    got = run("curl", "-sS", "-x", through.url, "http://site.example.org/")
    parent.close()
    assert got.stdout == "ok", (got, through.audit())
    assert b"Proxy-Authorization: Basic " + base64.b64encode(b"me@corp:p@ss/w0rd!") in heads[0]
    assert "p@ss" not in json.dumps(through.audit())
