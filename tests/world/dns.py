#!/usr/bin/env python3
"""A name server for the test world, over UDP and TCP. It serves A and AAAA records from a JSON file {"name": ["ip"]},
and NXDOMAIN for all other names. It logs each query to --log, so that a test can search for names that must never be
queried.

    dns.py --listen 203.0.113.53 --zone zone.json --log dns.jsonl
"""

import argparse
import json
import socket
import socketserver
import struct
import threading
import time


def answer(query, zone, log, peer, via):
    if len(query) < 12:
        return None
    ident, flags, questions = struct.unpack(">HHH", query[:6])
    if flags & 0x8000 or questions != 1:
        return None
    labels, at = [], 12
    while at < len(query) and query[at]:
        length = query[at]
        labels.append(query[at + 1:at + 1 + length].decode("latin-1"))
        at += 1 + length
    end = at + 5
    if end > len(query):
        return None
    name = ".".join(labels).lower()
    kind = struct.unpack(">H", query[at + 1:at + 3])[0]
    log({"time": time.time(), "name": name, "type": kind, "peer": peer, "via": via})
    addresses = zone.get(name)
    family = {1: socket.AF_INET, 28: socket.AF_INET6}.get(kind)
    records = [socket.inet_pton(family, a) for a in addresses or [] if family and (":" in a) == (kind == 28)]
    code = 0 if addresses is not None else 3
    head = struct.pack(">HHHHHH", ident, 0x8180 | code, 1, len(records), 0, 0)
    return head + query[12:end] + b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 5, len(r)) + r for r in records)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", required=True)
    parser.add_argument("--port", type=int, default=53)
    parser.add_argument("--zone", required=True)
    parser.add_argument("--log", required=True)
    args = parser.parse_args()
    with open(args.zone) as file:
        zone = {name.lower(): ips for name, ips in json.load(file).items()}
    out, lock = open(args.log, "a", buffering=1), threading.Lock()

    def log(record):
        with lock:
            out.write(json.dumps(record) + "\n")

    class Tcp(socketserver.StreamRequestHandler):
        timeout = 10

        def handle(self):
            while len(size := self.rfile.read(2)) == 2:
                reply = answer(self.rfile.read(struct.unpack(">H", size)[0]), zone, log, self.client_address[0], "tcp")
                if reply is None:
                    return
                self.wfile.write(struct.pack(">H", len(reply)) + reply)

    socketserver.ThreadingTCPServer.allow_reuse_address = True
    socketserver.ThreadingTCPServer.daemon_threads = True
    tcp = socketserver.ThreadingTCPServer((args.listen, args.port), Tcp)
    threading.Thread(target=tcp.serve_forever, daemon=True).start()
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((args.listen, args.port))
    print("ready", flush=True)
    while True:
        query, peer = udp.recvfrom(4096)
        reply = answer(query, zone, log, peer[0], "udp")
        if reply:
            udp.sendto(reply, peer)


if __name__ == "__main__":
    main()
