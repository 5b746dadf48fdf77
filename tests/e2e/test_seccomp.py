"""Tests the seccomp profiles: what they refuse to an agent and a guard, and that an agent's tools still work."""

import json
import os
import signal
import subprocess

import pytest

from attacks import CALLS, told
from look import running


def test_system_calls_that_no_program_needs_are_refused(operator):
    session = operator.start("python3 - <<'EOS'\n%s\nEOS" % CALLS)
    assert session.status == 0, session.explain()
    calls = told(session.out)
    reached = {name for name, what in calls.items() if what == "REACHED"}
    assert reached == {"unix", "inet", "inet6", "netlink_route"}, calls
    other = {name: what for name, what in calls.items() if what not in ("REACHED", "EPERM")}
    assert other == {"clone3": "ENOSYS"}, "refused by the filter, not by what the kernel happens to lack: %s" % other


def test_gvisor_cannot_reach_the_hypervisor_either(operator):
    session = operator.start("python3 - <<'EOS'\n%s\nEOS" % CALLS, runtime="runsc")
    assert session.status == 0, session.explain()
    assert told(session.out)["vsock"] != "REACHED" and told(session.out)["inet"] == "REACHED", session.out


def test_programs_of_32_bits_do_not_run(operator):
    """Their socketcall(2) would bypass the filter. The program has four instructions: exit(7) by the 32-bit entry."""
    if os.uname().machine != "x86_64":
        pytest.skip("of this machine's kind only")
    script = r"""python3 - <<'EOS'
import os, struct
code = bytes.fromhex("b801000000bb07000000cd80")
header = struct.pack("<16sHHIIIIIHHHHHH", b"\x7fELF\x01\x01\x01", 2, 3, 1, 0x8048054, 52, 0, 0, 52, 32, 1, 0, 0, 0)
segment = struct.pack("<IIIIIIII", 1, 0, 0x8048000, 0x8048000, 84 + len(code), 84 + len(code), 5, 4096)
open("/tmp/small", "wb").write(header + segment + code)
os.chmod("/tmp/small", 0o755)
pid = os.fork()
if not pid: os.execv("/tmp/small", ["small"])
print("status", os.waitpid(pid, 0)[1])
EOS"""
    session = operator.start(script)
    assert session.status == 0 and "status " in session.out and "status 1792" not in session.out, session.explain()


def test_agent_and_guard_containers_have_the_seccomp_filter(operator, until):
    process = operator.background("sleep 300")
    running(operator, until)
    try:
        for role in ("agent", "guard"):
            [found] = [c for c in operator.world.engine("GET", "/containers/json") if c["Labels"].get("bottle.role") == role]
            inspected = operator.world.engine("GET", "/containers/%s/json" % found["Id"])
            options = inspected["HostConfig"]["SecurityOpt"]
            [profile] = [json.loads(o[len("seccomp="):]) for o in options if o.startswith("seccomp=")]
            assert "no-new-privileges" in options and profile["defaultAction"] == "SCMP_ACT_ERRNO"
            status = open("/proc/%d/status" % inspected["State"]["Pid"]).read()
            assert "\nSeccomp:\t2\n" in status
    finally:
        operator.bottle("stop")
        process.communicate(timeout=360)


# A runtime that allows every socket and the key rings, and otherwise is runc with the given filter.
LAX_RUNTIME = r"""#!/usr/bin/python3
import json, os, sys
if "create" in sys.argv:
    path = os.path.join(sys.argv[sys.argv.index("--bundle") + 1], "config.json")
    config = json.load(open(path))
    filter = config["linux"]["seccomp"]
    filter["syscalls"] = [rule for rule in filter["syscalls"] if rule["names"] != ["socket"]]
    filter["syscalls"].append({"names": ["socket", "keyctl"], "action": "SCMP_ACT_ALLOW"})
    json.dump(config, open(path, "w"))
os.execvp("runc", ["runc", *sys.argv[1:]])
"""


@pytest.fixture
def lax_runtime(world, until):
    """The world's engine offers this runtime for the duration of a test."""
    def runtimes(added):
        with open(world.path("daemon.json")) as file:
            config = json.load(file)
        config["runtimes"].pop("lax", None)
        config["runtimes"].update(added)
        with open(world.path("daemon.json"), "w") as file:
            json.dump(config, file)
        [pid] = open(world.path("dockerd.pid")).read().split()
        os.kill(int(pid), signal.SIGHUP)
        assert until(lambda: ("lax" in world.engine("GET", "/info")["Runtimes"]) == bool(added), 30)
    with open(world.path("lax"), "w") as file:
        file.write(LAX_RUNTIME)
    os.chmod(world.path("lax"), 0o755)
    runtimes({"lax": {"path": world.path("lax")}})
    yield "lax"
    runtimes({})


def test_the_self_test_detects_an_engine_that_does_not_filter(operator, lax_runtime):
    session = operator.start("echo the agent ran", runtime=lax_runtime)
    assert session.status == 125 and "the agent ran" not in session.out, session.explain()
    assert "key_rings: the kernel allows it" in session.err, session.explain()
    assert "vsock: the kernel allows it" in session.err, session.explain()


# -- An agent's tools. Each part prints "fine NAME" if it succeeds, or "without NAME" if the image does not have the tool.

WORK = r"""
set -u
cd /tmp
has() { command -v "$1" >/dev/null || { echo "without $1"; return 1; }; }
has git && (git init -q r && cd r && echo a >a && git add a && git -c user.name=a -c user.email=a@b.invalid commit -qm a && git gc -q && git clone -q . ../c && git -C ../c log --oneline | grep -q a) && echo fine git
has python3 && python3 - <<'EOS' && echo fine python
import asyncio, concurrent.futures, multiprocessing, os, socket, sqlite3, subprocess, threading
def double(n): return 2 * n
multiprocessing.set_start_method("fork")
with multiprocessing.Pool(2) as pool: assert pool.map(double, range(8)) == [2 * n for n in range(8)]
with concurrent.futures.ThreadPoolExecutor(8) as pool: assert sum(pool.map(double, range(100))) == 9900
lock = multiprocessing.Lock(); lock.acquire(); lock.release()
async def main():
    process = await asyncio.create_subprocess_exec("true"); assert await process.wait() == 0
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()); assert await reader.read() == b""
asyncio.run(main())
base = sqlite3.connect("/tmp/base"); base.execute("pragma journal_mode=wal"); base.execute("create table t (n)"); base.commit()
assert socket.if_nameindex() and socket.socketpair()
assert subprocess.run(["sh", "-c", "ulimit -n; nice true"], capture_output=True).returncode == 0
EOS
has pip3 && (mkdir -p p/thing && printf 'from setuptools import setup\nsetup(name="thing", version="1", packages=["thing"])\n' >p/setup.py && touch p/thing/__init__.py \
  && python3 -m venv --system-site-packages v && v/bin/pip install --no-index --no-build-isolation -q ./p && v/bin/python -c 'import thing') && echo fine pip
has node && node - <<'EOS' && echo fine node
const {Worker} = require("worker_threads"), fs = require("fs"), os = require("os"), net = require("net"), child = require("child_process"), assert = require("assert");
assert(Object.keys(os.networkInterfaces()).length > 0, "interfaces"); assert(os.cpus().length > 0);
const watcher = fs.watch("/tmp", () => watcher.close()); fs.writeFileSync("/tmp/seen", "x");
const server = net.createServer(s => s.end("hi")).listen("/tmp/n.sock", () => net.connect("/tmp/n.sock").on("data", d => { assert(d == "hi"); server.close(); }));
new Worker("require('worker_threads').parentPort.postMessage(1)", {eval: true}).on("message", m => assert(m === 1));
assert(child.execFileSync("echo", ["x"]) == "x\n");
fs.promises.readFile("/etc/passwd").then(t => assert(t.length));
EOS
has npm && (mkdir -p n/dep && echo '{"name":"dep","version":"1.0.0"}' >n/dep/package.json && cd n && echo '{"name":"n","version":"1.0.0","scripts":{"t":"node -e 1"}}' >package.json \
  && npm install --offline --no-audit --no-fund --silent ./dep && test -e node_modules/dep/package.json && npm run -s t) && echo fine npm
has g++ && (cat >h.cc <<'EOS'
#include <future>
#include <iostream>
#include <regex>
int main() { auto f = std::async(std::launch::async, [] { return std::regex_match("aab", std::regex("a+b")); }); std::cout << f.get() << "\n"; }
EOS
  printf 'h: h.o\n\tg++ -pthread -o h h.o\nh.o: h.cc\n\tg++ -O1 -pipe -c h.cc\n' >Makefile && { if has make; then make -s -j2; else g++ -O1 -pthread -o h h.cc; fi; } && [ "$(./h)" = 1 ]) && echo fine g++
has gdb && gdb -q -batch -ex run -ex bt --args ./h 2>&1 | grep -q "exited normally" && echo fine gdb
has chromium && (echo '<title>t</title><p>the page' >page.html
  for sandbox in "" --no-sandbox; do
    HOME=/tmp timeout 90 chromium --headless $sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir=/tmp/profile --dump-dom file:///tmp/page.html >dom 2>chromium.log
    grep -q "the page" dom && echo "fine chromium$sandbox" || echo "failed chromium$sandbox: $(grep -m1 -iE 'sandbox|FATAL|not permitted' chromium.log)"
  done)
true
"""


def fine(out):
    return {line[5:] for line in out.splitlines() if line.startswith("fine ")}


def missing(out):
    return {line[8:] for line in out.splitlines() if line.startswith("without ")}


def test_the_tools_of_the_image_work(operator):
    session = operator.start(WORK)
    assert session.status == 0 and {"git", "python"} <= fine(session.out), session.explain()
    tools = {"git", "python", "pip", "node", "npm", "g++", "gdb"}
    assert fine(session.out) >= {t for t in tools if {"python": "python3", "pip": "pip3"}.get(t, t) not in missing(session.out)}, session.explain()


@pytest.mark.skipif(not os.environ.get("BOTTLE_TEST_WORKLOADS"), reason="installs a browser and compilers: run scripts/check-workloads")
def test_compilers_package_managers_and_a_browser_work(world, operator):
    """The same work has the same outcome under the engine's default profile and under bottle's."""
    packages = ["chromium", "g++", "gdb", "make", "nodejs", "npm", "python3-pip", "python3-setuptools", "python3-venv", "python3-wheel"]
    env = world.environment(operator.config(packages=packages), operator.home)
    plan = json.loads(operator.bottle("start", "a", "--dry-run", "--json", "--headless", "-p", "x", config=operator.config(packages=packages)).stdout)
    image = plan["image"]["reference"]
    done = subprocess.run([world.command()[-1], "image", "build", "shell", *[w for p in packages for w in ("--package", p)]], env=env, timeout=3000)
    assert done.returncode == 0
    try:
        with_theirs = world.docker("run", "--rm", "-i", "--user", "1000:1000", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "none",
                                   image, "bash", "-c", WORK, check=False).stdout
        session = operator.start(WORK, packages=packages, timeout=600)
        print("theirs:", with_theirs, "\nours:", session.out)
        assert session.status == 0 and not missing(session.out), session.explain()
        assert fine(session.out) == fine(with_theirs), (with_theirs, session.explain())
        assert {"git", "python", "pip", "node", "npm", "g++", "chromium--no-sandbox"} <= fine(session.out), session.explain()
    finally:
        world.docker("rmi", "-f", image, check=False)
