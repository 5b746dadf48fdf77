"""A guard on this machine, and servers and programs on both sides of it."""

import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import threading

import pytest

from client_programs import reads_env_proxy, tool
from operators import wait_for

BOTTLE = os.path.abspath(os.environ.get("BOTTLE", "build/release/bottle"))


def run(*argv, timeout=240, **kw):
    return subprocess.run(argv, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, **kw)


def need(program):
    """Returns the program's path. Skips the test, with a reason, if this machine lacks the program or has a version
    that ignores proxy variables."""
    path = tool(program)
    if not path:
        pytest.skip("%s is not installed (scripts/setup or scripts/check-clients does it)" % program)
    if re.fullmatch("node[0-9]*", program) and not reads_env_proxy(path):
        pytest.skip("this version of node does not read NODE_USE_ENV_PROXY (docs/guard.md)")
    return path


class Server:
    """Answers every complete request with its page, or with "ok". `seen` has the first lines of the requests. Speaks
    TLS if it has a certificate."""

    def __init__(self, certificate=None, host="127.0.0.1", pages=()):
        self.listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.port = self.listener.getsockname()[1]
        self.at = ("[%s]:%d" if ":" in host else "%s:%d") % (host, self.port)
        self.context, self.pages, self.seen = None, dict(pages), []
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
                if not head:
                    return
                self.seen.append(head[0])
                lines.read(max((int(line[15:]) for line in head if line.lower().startswith("content-length:")), default=0))
                connection.sendall(self.answer(*head[0].split()[:2]))
        except OSError:
            pass

    def answer(self, method="GET", target="/"):
        body = self.pages.get(re.sub(r"\?.*", "", target), b"ok")
        body = body.encode() if isinstance(body, str) else body
        kind = {"/simple": "text/html", "/object": "application/octet-stream"}.get(target[:7], "text/plain")
        if body[:1] == b"{":
            kind = "application/vnd.git-lfs+json" if "/lfs/" in target else "application/json"
        head = "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (kind, len(body))
        return head.encode() + (b"" if method == "HEAD" else body)

    def close(self):
        self.listener.close()


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
        """Returns what the guard has recorded. It writes at the end of each turn of its loop, which may be after a
        client has its answer, so this first asks it for an answer of its own, which it gives in a later turn."""
        if self.process.poll() is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            connection.request("GET", "/")
            connection.getresponse().read()
            connection.close()
        with open(self.audit_file) as file:
            return [json.loads(line) for line in file]

    def close(self):
        self.process.terminate()
        self.process.wait(360)
