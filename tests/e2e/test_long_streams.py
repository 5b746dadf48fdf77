"""Streams that stay open through `bottle guard run` while their server sends something every few seconds. A run takes a
few seconds; BOTTLE_STREAM_SECONDS=1500 makes it 25 minutes."""

import base64
import hashlib
import os
import queue
import random
import re
import socket
import ssl
import subprocess
import threading
import time

import pytest

from local_guard import Server

HOST = "site.example.org"
SECONDS = float(os.environ.get("BOTTLE_STREAM_SECONDS", "3"))
LONGEST_PAUSE = min(8.0, SECONDS / 6)  # seconds
PATIENCE = 60                          # seconds in which an event must arrive, also on a busy machine
VALUE = "ghp_0123456789abcdef0123456789abcdef0123"


class Pace:
    """Decides what a server sends and when, and compares it with what the client received. Sends the next event only
    after the client has the previous one, so that none can be late."""

    def __init__(self, seed):
        self.random, self.end = random.Random(seed), time.monotonic() + SECONDS
        self.arrived, self.sent, self.delays, self.fault = queue.Queue(), hashlib.sha256(), [], None
        self.got = hashlib.sha256()

    def events(self, frame):
        """Yields frames until the time is over. Many of them end like the beginning of a secret."""
        while not self.delays or time.monotonic() < self.end:
            payload = self.random.choice(["{} ", "", "{}"]).format(self.random.getrandbits(64)) + VALUE[:self.random.randrange(8)]
            data = frame(len(self.delays), payload)
            self.sent.update(data)
            start = time.monotonic()
            yield data
            missing = len(data)
            while missing > 0:
                try:
                    missing -= self.arrived.get(timeout=PATIENCE)
                except queue.Empty:
                    self.fault = "event %d: %d of %d bytes did not arrive in %d seconds" % (len(self.delays), missing, len(data), PATIENCE)
                    return
            if missing < 0:
                self.fault = "event %d: %d bytes too many" % (len(self.delays), -missing)
                return
            self.delays.append(time.monotonic() - start)
            time.sleep(self.random.uniform(0, LONGEST_PAUSE))  # this sets the pace of the stream; nothing waits for it

    def take(self, data):
        """Notes what has arrived at the client."""
        self.got.update(data)
        self.arrived.put(len(data))

    def check(self, kind):
        delays = sorted(self.delays)
        print("%s: %d events in %.0f s, delayed by %.1f ms in the middle and %.1f ms at most" % (
            kind, len(delays), SECONDS, delays[len(delays) // 2] * 1000 if delays else 0, delays[-1] * 1000 if delays else 0))
        assert self.fault is None, self.fault
        assert self.sent.digest() == self.got.digest()


class Streams(Server):
    """Speaks HTTP/1.1 and answers each request with the stream that its path names."""

    def __init__(self, certificate, paces):
        self.paces = paces
        super().__init__(certificate)

    def serve(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.context.wrap_socket(connection, server_side=True) as stream:
            head = read_head(stream)
            kind = head.split()[1].decode()[1:]
            pace = self.paces[kind]
            if kind == "websocket":
                key = re.search(rb"(?i)\r\nsec-websocket-key: *(\S+)", head).group(1)
                accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
                stream.sendall(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
                for message in pace.events(lambda number, payload: ("%d %s" % (number, payload)).encode()):
                    stream.sendall(b"\x81" + bytes([len(message)]) + message)
                    assert read_message(stream) == message, "the client sends each message back"
                stream.sendall(b"\x88\x00")
            else:
                stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
                for event in pace.events(lambda number, payload: ("id: %d\ndata: %s\n\n" % (number, payload)).encode()):
                    stream.sendall(b"%x\r\n%s\r\n" % (len(event), event))
                stream.sendall(b"0\r\n\r\n")


def read_head(stream):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = stream.recv(1)
        assert byte, head
        head += byte
    return head


def read_exactly(stream, count):
    data = b""
    while len(data) < count:
        piece = stream.recv(count - len(data))
        assert piece, "the stream ended in a frame"
        data += piece
    return data


def read_message(stream):
    """Returns a short message, or None for a close."""
    first, length = read_exactly(stream, 2)
    mask = read_exactly(stream, 4) if length & 0x80 else bytes(4)
    data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(read_exactly(stream, length & 0x7F)))
    return None if first == 0x88 else data


def follow_events(through, pace, version):
    curl = subprocess.Popen(["curl", "-sSN", "--http" + version, "-x", through.url, "--cacert", through.ca, "https://%s/events-%s" % (HOST, version)],
                            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    while piece := os.read(curl.stdout.fileno(), 65536):
        pace.take(piece)
    assert curl.wait(PATIENCE) == 0


def follow_messages(through, pace):
    plain = socket.create_connection(("127.0.0.1", through.port))
    plain.sendall(b"CONNECT %s:443 HTTP/1.1\r\nHost: %s:443\r\n\r\n" % (HOST.encode(), HOST.encode()))
    read_head(plain)
    with ssl.create_default_context(cafile=through.ca).wrap_socket(plain, server_hostname=HOST) as stream:
        stream.sendall(b"GET /websocket HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                       b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" % HOST.encode())
        assert b" 101 " in read_head(stream)
        while (message := read_message(stream)) is not None:
            pace.take(message)
            stream.sendall(b"\x81" + bytes([0x80 | len(message)]) + bytes(4) + message)


@pytest.mark.parametrize("bound", [False, True])
def test_no_byte_of_a_stream_is_lost_or_late(bound, guard, pki, tmp_path):
    """The host may have a bound secret, so that answers are searched for its value too."""
    paces = {kind: Pace(kind) for kind in ("events-1.1", "events-2", "websocket")}
    server = Streams(pki[1], paces)
    (tmp_path / "value").write_text(VALUE)
    secret = {"from": "file:%s" % (tmp_path / "value"), "hosts": [HOST if bound else "other.example.org"], "header": "Authorization: Bearer {}"}
    through = guard(egress={"allow": [{"host": HOST, "inspect": True}], "hosts": {HOST: server.at}}, secrets={"key": secret})
    faults = []

    def follow(function, *arguments):
        try:
            function(through, *arguments)
        except (OSError, AssertionError) as fault:
            faults.append(fault)

    clients = [threading.Thread(target=follow, args=arguments) for arguments in (
        (follow_events, paces["events-1.1"], "1.1"), (follow_events, paces["events-2"], "2"), (follow_messages, paces["websocket"]))]
    for client in clients:
        client.start()
    for client in clients:
        client.join(SECONDS + 4 * PATIENCE)
    server.close()
    for kind, pace in paces.items():
        pace.check(kind)
    assert not faults and not any(client.is_alive() for client in clients), faults
    assert all(line["action"] != "deny" for line in through.audit()), through.audit()
