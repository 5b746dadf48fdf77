#!/usr/bin/env python3
"""A long cable: joins two network namespaces by two TUN devices, delays every packet in both directions, and drops a
share of them. Does what `tc netem` does, for a kernel without sch_netem. It carries real IP packets, so that TCP and
mosh use a real network.

    nsenter --net=/run/netns/A -- link.py --peer B --devices near,far --control /path/to/socket [--delay-ms 80] [--loss 0.01]

The delay is that of a round trip, half of it in each direction; the loss applies in each direction. A datagram of JSON
to the control socket changes both for the packets that follow: {"delay_ms": 80, "loss": 0.01}. A loss of 1 is a cut
cable. The devices disappear when the program ends.

`Link` puts it between a test's machine and the rest of the world:

    net ═ link0 ─ this program ─ link1 ═ namespace …-link ─ far0 ─ the machine
"""

import argparse
import collections
import contextlib
import ctypes
import errno
import fcntl
import json
import os
import random
import select
import socket
import struct
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI, CLONE_NEWNET = 0x400454CA, 0x0001, 0x1000, 0x40000000
MOST_WAITING = 20000  # packets in each direction; drops more if the receiver is slow, as a router does


def tun(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return fd


def enter(ns):
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/run/netns/" + ns) as file:
        if libc.setns(file.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "entering " + ns)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--devices", required=True)
    parser.add_argument("--control", required=True)
    parser.add_argument("--delay-ms", type=float, default=0)
    parser.add_argument("--loss", type=float, default=0)
    args = parser.parse_args()
    half, loss = args.delay_ms / 2000, args.loss
    near_name, far_name = args.devices.split(",")
    near = tun(near_name)
    enter(args.peer)
    far = tun(far_name)
    control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    control.bind(args.control)
    other = {near: far, far: near}
    waiting = {near: collections.deque(), far: collections.deque()}  # keyed by destination
    print("ready", flush=True)
    while True:
        now = time.monotonic()
        until = [queue[0][0] for queue in waiting.values() if queue]
        ready, _, _ = select.select([control, near, far], [], [], max(0, min(until) - now) if until else None)
        for fd in ready:
            if fd is control:
                wish = json.loads(control.recv(4096))
                half, loss = wish.get("delay_ms", half * 2000) / 2000, wish.get("loss", loss)
                continue
            queue = waiting[other[fd]]
            for _ in range(64):
                try:
                    packet = os.read(fd, 65536)
                except OSError as error:
                    if error.errno not in (errno.EAGAIN, errno.EIO):  # EIO: the device is not up yet
                        raise
                    break
                if len(queue) < MOST_WAITING and (loss <= 0 or random.random() >= loss):
                    queue.append((time.monotonic() + half, packet))
        now = time.monotonic()
        for fd, queue in waiting.items():
            while queue and queue[0][0] <= now:
                try:
                    os.write(fd, queue.popleft()[1])
                except OSError:  # the device is down or rejects the packet, which is then lost, as on a cable
                    pass


class Link:
    """Makes the machine's link slow and lossy as long as the context lasts. Existing connections stay, because no
    address changes."""

    def __init__(self, machine, delay_ms=80.0, loss=0.0):
        self.machine, self.world, self.run = machine, machine.world, machine.run
        self.delay_ms, self.loss = delay_ms, loss
        self.ns = "bottle-w%d-link" % os.getpid()
        self.control = self.world.path("link.sock")

    def __enter__(self):
        run, net, self.child = self.run, self.world.net_ns, None
        self.world.stack.callback(self.close)
        run("ip", "netns", "add", self.ns)
        self.child = self.world.spawn(net, sys.executable, os.path.abspath(__file__), "--peer", self.ns, "--devices", "link0,link1", "--control",
                                      self.control, "--delay-ms", str(self.delay_ms), "--loss", str(self.loss))
        run("nsenter", "--net=/run/netns/" + self.ns, "--", "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
        for ns, device in ((net, "link0"), (self.ns, "link1"), (self.ns, "lo")):
            run("ip", "-n", ns, "link", "set", device, "up")
        self.machine.plug(self.ns)
        run("ip", "-n", self.ns, "route", "add", "default", "dev", "link1")
        run("ip", "-n", net, "route", "add", self.machine.net + "/24", "dev", "link0")
        return self

    def set(self, **wish):
        """Applies delay_ms=80 and loss=0.01, for example, from the next packet on."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
            to.sendto(json.dumps(wish).encode(), self.control)

    def cut(self):
        self.set(loss=1)

    def mend(self):
        self.set(loss=self.loss)

    def __exit__(self, *_):
        self.close()

    def close(self):
        if not os.path.exists("/run/netns/" + self.ns):
            return
        if self.child:
            self.world._end(self.child)  # link0 goes with it, and its route
        with contextlib.suppress(OSError):
            os.unlink(self.control)
        self.machine.plug(self.world.net_ns)
        self.run("ip", "netns", "del", self.ns, check=False)


if __name__ == "__main__":
    main()
