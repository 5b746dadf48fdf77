#!/usr/bin/env python3
"""Replaces `bottle` on a machine that was taken over. Passes on the output of the real program, which is beside it as
`taken.real`, and lies if `taken.json` beside it says so.

    {"serve": "flap"}       from the second connection on, sends a hello and ends
    {"serve": "long"}       after the message that the agent runs, sends an event of 2 MB of JSON, once
    {"layers": "complain"}  answers the question about images' layers with text for a terminal, and with ssh's own exit status
    {"deliver": "unread"}   says that it has the workspace, without reading it
    {"receipt": {…}}        replaces the receipts, in results and of `forget`"""

import json
import os
import select
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "taken.json")) as file:
    LIES = json.load(file)
REAL = os.path.join(HERE, "taken.real")


def count():
    path = os.path.join(HERE, "taken.served")
    with open(path, "a") as log:
        log.write("x")
    return os.path.getsize(path)


def frame(kind, text):
    return struct.pack(">cI", kind, len(text)) + text


def altered(kind, text, state):
    out = frame(kind, text)
    if kind == b"r" and "receipt" in LIES:
        out = frame(kind, json.dumps({**json.loads(text), "receipt": LIES["receipt"]}).encode())
    if kind == b"p" and LIES.get("serve") == "long" and b'"running"' in text and not state.get("said"):
        state["said"] = True
        out += frame(b"p", b'{"event":"x","z":[' + b"{}," * 700000 + b"{}]}")
    return out


def serve():
    served = count()
    if LIES.get("serve") == "flap" and served > 1:
        os.execv(REAL, [REAL, "far", "hello"])
    child = subprocess.Popen([REAL, *sys.argv[1:]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    waiting, greeted, state = b"", False, {}
    while True:
        readable, _, _ = select.select([0, child.stdout], [], [])
        if 0 in readable:
            data = os.read(0, 65536)
            if not data:
                break
            child.stdin.write(data)
            child.stdin.flush()
        if child.stdout in readable:
            data = os.read(child.stdout.fileno(), 65536)
            if not data:
                break
            waiting += data
            out = b""
            if not greeted and b"\n" in waiting:
                greeted = True
                hello, waiting = waiting.split(b"\n", 1)
                out += hello + b"\n"
            while greeted and len(waiting) >= 5 and len(waiting) >= 5 + struct.unpack(">I", waiting[1:5])[0]:
                end = 5 + struct.unpack(">I", waiting[1:5])[0]
                out += altered(waiting[:1], waiting[5:end], state)
                waiting = waiting[end:]
            while out:
                out = out[os.write(1, out):]
    child.kill()


if sys.argv[1:3] == ["far", "serve"]:
    serve()
elif sys.argv[1:3] == ["far", "forget"] and "receipt" in LIES:
    subprocess.run([REAL, *sys.argv[1:]], stdout=subprocess.DEVNULL)
    print(json.dumps({"session": sys.argv[3], "forgotten": True, "receipt": LIES["receipt"]}))
elif sys.argv[1:3] == ["far", "deliver"] and "deliver" in LIES:
    print("ok")
elif sys.argv[1:3] == ["far", "layers"] and "layers" in LIES:
    os.write(2, "\x1b]0;taken\x07\x1b[2J \u009b1m words\n".encode())
    sys.exit(255)
else:
    os.execv(REAL, [REAL, *sys.argv[1:]])
