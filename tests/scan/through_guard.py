"""Sends the corpus through a guard to a sink, with the sink's host open: through_guard.py [SEED] prints the figures
(BOTTLE names the build).

A leak counts as stopped only if the guard says that it refused a secret, and the sink received nothing from the
secret's first byte on. Of a leak that is spread over requests or messages, the sink must not receive the last piece. An
error counts as not stopped. A proxy that only forwards must therefore stop nothing, which forward() measures with the
same corpus."""

import concurrent.futures
import contextlib
import dataclasses
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

import corpus

PATIENCE = 120  # seconds until something counts as an error
LANES = 2  # requests at the same time, each to a sink of its own


@dataclasses.dataclass
class Result:
    leaks: int = 0
    harmless: int = 0
    missed: list = dataclasses.field(default_factory=list)  # leaks that were not stopped, each with its outcome
    false_alarms: list = dataclasses.field(default_factory=list)  # harmless cases that did not arrive unchanged
    in_audit: list = dataclasses.field(default_factory=list)  # leaks whose secret is in the audit


@dataclasses.dataclass
class Request:
    head: bytes
    body: bytes
    begin: int  # the number of bytes of the body that may arrive


def host(lane):
    return f"sink{lane}.example.org"


def request(case, lane, data=None):
    """Returns the case as an HTTP request. If the case is itself a head, the request has its target and its headers."""
    data = case.data if data is None else data
    head, blank, body = data.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    if blank and re.fullmatch(rb"[A-Z]+ \S+ HTTP/1\.1", first):
        lines = [line for line in lines if not line.lower().startswith(b"host:")]
        begin = 0
    else:
        first, lines, body, begin = b"POST /v1/upload HTTP/1.1", [], data, case.begin if case.leak else 0
        if body.startswith(b"--xx"):
            lines.append(b"Content-Type: multipart/form-data; boundary=xx")
        elif body.startswith((b"{", b"[")):
            lines.append(b"Content-Type: application/json")
        elif re.match(rb"[a-z]+=[^\n]*&[a-z]+=", body):
            lines.append(b"Content-Type: application/x-www-form-urlencoded")
        else:
            lines.append(b"Content-Type: application/octet-stream")
    lines += [b"Host: " + host(lane).encode(), b"Connection: close"]
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    return Request(b"\r\n".join([first, *lines]) + b"\r\n\r\n", body, begin)


def read_message(connection):
    """Returns the head and the body of the next message, as far as they arrive."""
    data, length = b"", None
    with contextlib.suppress(OSError):
        while length is None or len(data) < length:
            more = connection.recv(1 << 16)
            if not more:
                break
            data += more
            if length is None and b"\r\n\r\n" in data:
                found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", data.partition(b"\r\n\r\n")[0] + b"\r\n")
                length = data.index(b"\r\n\r\n") + 4 + int(found[1] if found else 0)
    head, _, body = data.partition(b"\r\n\r\n")
    return head, body


def frame(opcode, final, payload):
    """Returns a WebSocket frame as a client writes it (RFC 6455)."""
    mask = b"mask"
    length = len(payload)
    size = bytes([0x80 | length]) if length < 126 else bytes([0x80 | 126]) + length.to_bytes(2, "big")
    return bytes([final << 7 | opcode]) + size + mask + bytes(c ^ mask[i % 4] for i, c in enumerate(payload))


def payloads(data):
    """Returns what the frames from a client carry together, as far as they have arrived."""
    out = b""
    while len(data) >= 6:
        length, at = data[1] & 127, 2
        if length == 126:
            length, at = int.from_bytes(data[2:4], "big"), 4
        elif length == 127:
            length, at = int.from_bytes(data[2:10], "big"), 10
        mask, body = data[at : at + 4], data[at + 4 : at + 4 + length]
        out += bytes(c ^ mask[i % 4] for i, c in enumerate(body))
        data = data[at + 4 + length :]
    return out


UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"


class Sink:
    """Keeps what it receives, and answers every whole request with 200, or with 101 if it asks for WebSocket."""

    def __init__(self, certificate):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.changed, self.open, self.received = threading.Condition(), 0, []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with self.changed:
                    self.open += 1
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        message = (b"", b"")
        with contextlib.suppress(OSError):
            connection.settimeout(PATIENCE)
            with self.context.wrap_socket(connection, server_side=True) as stream:
                message = read_message(stream)
                if b"upgrade: websocket" in message[0].lower():
                    message = (message[0], self.read_frames(stream, message[1]))
                else:
                    stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nsunk")
        self.note(connection, message)

    @staticmethod
    def read_frames(stream, data):
        stream.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        with contextlib.suppress(OSError):
            while more := stream.recv(1 << 16):
                data += more
                if payloads(data).endswith(b"the end"):
                    break
        return payloads(data)

    def note(self, connection, message):
        connection.close()
        with self.changed:
            self.open -= 1
            if any(message):
                self.received.append(message)
            self.changed.notify_all()

    def take(self):
        """Returns all that was received since the last call, once no connection is open. Returns None if one stays
        open."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.open == 0, PATIENCE):
                return None
            received, self.received = self.received, []
            return received

    def close(self):
        self.listener.close()


class Forwarder:
    """A proxy that only forwards: it connects every tunnel to the sink of its host and reads nothing."""

    def __init__(self, sinks):
        self.sinks = sinks
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = self.listener.getsockname()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with contextlib.suppress(OSError), client:
            lane = int(re.match(rb"CONNECT sink(\d+)\.", client.recv(4096))[1])
            with socket.create_connection(("127.0.0.1", self.sinks[lane].port)) as server:
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=self.copy, args=(server, client), daemon=True)
                back.start()
                self.copy(client, server)
                back.join()

    @staticmethod
    def copy(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def close(self):
        self.listener.close()


class Guard:
    """`bottle guard run`, with the hosts of the sinks allowed and inspected."""

    def __init__(self, bottle, directory, authority, sinks):
        config, self.ca, self.audit = (os.path.join(directory, name) for name in ("config.json", "guard.pem", "audit"))
        hosts = [host(lane) for lane in range(len(sinks))]
        secrets = {
            name.lower(): {"from": "env:" + name, "hosts": ["home.example.org"], "header": "Authorization: Bearer {}"}
            for name in corpus.KNOWN
        }
        egress = {
            "allow": [{"host": name, "inspect": True} for name in hosts],
            "hosts": {name: f"127.0.0.1:{sink.port}" for name, sink in zip(hosts, sinks, strict=True)},
        }
        with open(config, "w") as file:
            json.dump({"egress": egress, "secrets": secrets}, file)
        self.process = subprocess.Popen(
            [bottle, "guard", "run", "--listen", "127.0.0.1:0", "--config", config, "--ca-out", self.ca]
            + ["--upstream-ca", authority, "--audit", self.audit],
            env={**os.environ, **corpus.KNOWN},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said = ""
        while not (found := re.search(r"listening on 127\.0\.0\.1:(\d+)\n", said)):
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError("the guard did not start: " + said)
            said += line
        self.address = ("127.0.0.1", int(found[1]))

    def close(self):
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.process.stdout.close()


def certificates(directory):
    """Makes an authority and a certificate for the sinks."""

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=directory)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=Sinks", "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", *key, "-subj", "/CN=sink", "-keyout", "sink.key", "-out", "sink.csr")
    with open(os.path.join(directory, "san"), "w") as file:
        file.write("subjectAltName=" + ",".join("DNS:" + host(lane) for lane in range(LANES)))
    openssl(
        *["x509", "-req", "-in", "sink.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"],
        *["-extfile", "san", "-out", "sink.pem"],
    )
    return tuple(os.path.join(directory, name) for name in ("ca.pem", "sink.pem", "sink.key"))


def send(address, context, lane, wanted):
    """Sends the request through a tunnel, and returns the answer's head and body."""
    name = host(lane)
    with socket.create_connection(address, PATIENCE) as connection:
        connection.sendall(f"CONNECT {name}:443 HTTP/1.1\r\nHost: {name}:443\r\n\r\n".encode())
        head, _ = read_message(connection)
        if not head.startswith(b"HTTP/1.1 200"):
            return head, b""
        with context.wrap_socket(connection, server_hostname=name) as stream:
            with contextlib.suppress(OSError):  # the guard may refuse before it has all
                stream.sendall(wanted.head + wanted.body)
            return read_message(stream)


def send_frames(address, context, lane, case):
    """Sends the parts as messages, or as fragments of one. Returns whether the other side accepted all of them."""
    name = host(lane)
    with socket.create_connection(address, PATIENCE) as connection:
        connection.sendall(f"CONNECT {name}:443 HTTP/1.1\r\nHost: {name}:443\r\n\r\n".encode())
        head, _ = read_message(connection)
        if not head.startswith(b"HTTP/1.1 200"):
            return "no tunnel"
        with context.wrap_socket(connection, server_hostname=name) as stream:
            stream.sendall(b"GET /socket HTTP/1.1\r\nHost: " + name.encode() + b"\r\n" + UPGRADE + b"\r\n")
            head, _ = read_message(stream)
            if not head.startswith(b"HTTP/1.1 101"):
                return "no upgrade"
            with contextlib.suppress(OSError):
                for i, part in enumerate(case.parts):
                    single = case.way == "message"
                    stream.sendall(frame(1 if single or i == 0 else 0, single or i == len(case.parts) - 1, part))
                stream.sendall(frame(1, True, b"the end"))
                while stream.recv(1 << 16):
                    pass
    return "sent"


def run_parts(case, proxy, context, lane, sink):
    """Does what run() does, for leaks that are spread over several requests or messages."""
    if case.way == "request":
        refused, arrived = 0, 0
        for part in case.parts:
            wanted = request(case, lane, part)
            try:
                head, body = send(proxy.address, context, lane, wanted)
            except OSError as error:
                return repr(error)
            refused += head.startswith(b"HTTP/1.1 403") and b"refused (secret)" in body
            arrived += bool(sink.take()) and head.startswith(b"HTTP/1.1 200")
        if arrived == len(case.parts):
            return "arrived"
        return "stopped" if refused and refused + arrived == len(case.parts) else "neither refused nor delivered"
    try:
        done = send_frames(proxy.address, context, lane, case)
    except OSError as error:
        return repr(error)
    received = sink.take()
    if done != "sent" or received is None or len(received) != 1:
        return done + ", and the sink has no connection"
    if received[0][1] == b"".join(case.parts) + b"the end":
        return "arrived"
    return "stopped" if b"".join(case.parts[:-1]).startswith(received[0][1]) else "a part of the last piece arrived"


def run(case, proxy, context, lane, sink):
    """Returns what happened: "stopped", "arrived" (unchanged), or another text."""
    if case.leak and case.parts:
        return run_parts(case, proxy, context, lane, sink)
    wanted = request(case, lane)
    try:
        head, body = send(proxy.address, context, lane, wanted)
    except OSError as error:
        head, body = repr(error).encode(), b""
    received = sink.take()
    if received is None:
        return "the sink's connection stayed open"
    refused = head.startswith(b"HTTP/1.1 403") and b"refused (secret)" in body
    early = all(wanted.body and len(got) <= wanted.begin and wanted.body.startswith(got) for _, got in received)
    if refused and early:
        return "stopped"
    if refused:
        return "refused, but the sink received a part of it"
    if head.startswith(b"HTTP/1.1 200") and [got for _, got in received] == [wanted.body]:
        return "arrived"
    return "neither refused nor delivered: " + head.decode("latin-1").partition("\r\n")[0]


def run_all(cases, proxy, ca, sinks):
    context = ssl.create_default_context(cafile=ca)

    def lane(number):
        return [(c, run(c, proxy, context, number, sinks[number])) for c in cases[number :: len(sinks)]]

    with concurrent.futures.ThreadPoolExecutor(len(sinks)) as pool:
        return [each for done in pool.map(lane, range(len(sinks))) for each in done]


@contextlib.contextmanager
def closing_all():
    with contextlib.ExitStack() as stack:
        yield lambda thing: stack.enter_context(contextlib.closing(thing))


def judge(bottle, directory, seed, leaks=2000, harmless=600):
    """Sends the corpus through a guard."""
    result = Result()
    with closing_all() as opened:
        authority, *certificate = certificates(directory)
        sinks = [opened(Sink(certificate)) for _ in range(LANES)]
        guard = opened(Guard(bottle, directory, authority, sinks))
        for case, what in run_all(corpus.harmless(seed, harmless)[:harmless], guard, guard.ca, sinks):
            result.harmless += 1
            if what != "arrived":
                result.false_alarms.append(f"{case.name}: {what}")
        done = run_all(corpus.leaks(seed, leaks), guard, guard.ca, sinks)
    with open(guard.audit, encoding="utf-8") as file:
        audit = file.read()
    # A connection that breaks off does not show the reason, but the audit does.
    lines = [json.loads(line) for line in audit.splitlines()]
    refused = sum(line.get("count", 1) for line in lines if line.get("code") == "secret" and line["action"] == "deny")
    if refused < sum(what == "stopped" for _, what in done):
        result.missed.append("the audit has only %d refusals" % refused)
    for case, what in done:
        result.leaks += 1
        if what != "stopped":
            result.missed.append(f"{case.name}: {what}")
        if json.dumps(case.secret.decode())[1:-1] in audit:
            result.in_audit.append(case.name)
    return result


def forward(directory, seed, leaks=2000):
    """Returns how many leaks count as stopped, and how many as arrived, with a proxy that only forwards."""
    with closing_all() as opened:
        authority, *certificate = certificates(directory)
        sinks = [opened(Sink(certificate)) for _ in range(LANES)]
        done = run_all(corpus.leaks(seed, leaks), opened(Forwarder(sinks)), authority, sinks)
    return tuple(sum(what == wanted for _, what in done) for wanted in ("stopped", "arrived"))


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    bottle = os.environ.get("BOTTLE", "build/release/bottle")
    with tempfile.TemporaryDirectory(prefix="bottle-scan-") as directory:
        stopped, arrived = forward(directory, seed)
    with tempfile.TemporaryDirectory(prefix="bottle-scan-") as directory:
        result = judge(bottle, directory, seed)
    print(
        f"seed {seed}: the guard stopped {result.leaks - len(result.missed)} of {result.leaks} leaks, with "
        f"{len(result.false_alarms)} false alarms in {result.harmless} harmless cases; "
        f"a proxy that only forwards stopped {stopped} and delivered {arrived}"
    )
    for name in result.missed + result.false_alarms:
        print("  " + name)
    for name in result.in_audit:
        print("  in the audit: " + name)
    bad = len(result.missed) * 50 > result.leaks or result.false_alarms or result.in_audit or stopped or arrived < result.leaks
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
