#!/usr/bin/env python3
"""Canaries: listeners that answer and log every connection, and (with --sniff) a tap that logs every IP packet on an
interface, of any protocol. A test then checks that nothing arrived where nothing may arrive.

    canary.py --log hits.jsonl [--bind 169.254.169.254 --bind 10.0.0.1 | --bind 0.0.0.0] [--ports 22,80] [--sniff eth0]
"""

import argparse
import contextlib
import json
import socket
import struct
import threading
import time


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", required=True)
    parser.add_argument("--bind", action="append", default=[])
    parser.add_argument("--ports", default="22,53,80,443,2375,3128,8080")
    parser.add_argument("--sniff")
    args = parser.parse_args()
    out, lock = open(args.log, "a", buffering=1), threading.Lock()

    def hit(**fields):
        with lock:
            out.write(json.dumps({"time": time.time(), **fields}) + "\n")

    def tcp(listener):
        while True:
            peer, address = listener.accept()
            local = peer.getsockname()
            hit(kind="tcp", src=address[0], dst=local[0], port=local[1])
            threading.Thread(target=answer, args=(peer,), daemon=True).start()

    def answer(peer):
        """Answers, and reads on until the peer is done: if it were closed before, what the peer has sent would reset
        the connection, perhaps before the answer is read."""
        with peer, contextlib.suppress(OSError):
            peer.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nCANARY\n")
            peer.shutdown(socket.SHUT_WR)
            peer.settimeout(10)
            while peer.recv(65536):
                pass

    def udp(receiver):
        while True:
            data, address = receiver.recvfrom(2048)
            hit(kind="udp", src=address[0], dst=receiver.getsockname()[0], port=receiver.getsockname()[1])
            receiver.sendto(b"CANARY", address)

    for bind in args.bind:
        family = socket.AF_INET6 if ":" in bind else socket.AF_INET
        for port in map(int, args.ports.split(",")):
            stream = socket.socket(family, socket.SOCK_STREAM)
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                stream.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            stream.bind((bind, port))
            stream.listen(64)
            threading.Thread(target=tcp, args=(stream,), daemon=True).start()
            packets = socket.socket(family, socket.SOCK_DGRAM)
            if family == socket.AF_INET6:
                packets.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            packets.bind((bind, port))
            threading.Thread(target=udp, args=(packets,), daemon=True).start()
    tap = None
    if args.sniff:
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        tap.bind((args.sniff, 0))
    print("ready", flush=True)
    while tap is None:
        time.sleep(3600)
    while True:
        packet, (_, protocol, direction, *_rest) = tap.recvfrom(128)
        if direction == socket.PACKET_OUTGOING:
            continue
        if protocol == 0x0800 and len(packet) >= 20:
            head = (packet[0] & 15) * 4
            port = struct.unpack(">H", packet[head + 2:head + 4])[0] if packet[9] in (6, 17) and len(packet) >= head + 4 else 0
            hit(kind="packet", proto=packet[9], src=socket.inet_ntoa(packet[12:16]), dst=socket.inet_ntoa(packet[16:20]), port=port)
        elif protocol == 0x86DD and len(packet) >= 40:
            hit(kind="packet6", proto=packet[6], src=socket.inet_ntop(socket.AF_INET6, packet[8:24]),
                dst=socket.inet_ntop(socket.AF_INET6, packet[24:40]), port=0)


if __name__ == "__main__":
    main()
