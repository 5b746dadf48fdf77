"""Measures a session on another machine: how much longer its start takes than a local one, in round trips of a link
with 80 ms; how soon a terminal is connected again; and how long a keystroke takes. Uses tests/world, with a real sshd
and a separate dockerd on the far side."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

from figures import figure, median

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "world"))

RTT = 0.080


class Pair:
    """The operator's machine and the remote one, both warm: the images, the program and the ssh connections exist."""

    def __init__(self, bench):
        self.world = bench.world()
        bench.progress("another machine in it")
        self.world.load_image("shell")
        self.far = self.world.machine()
        self.workspace = self.world.workspace()
        rules = {"allow": ["allowed.example.org"], "extra_ca": [self.world.ca]}
        self.config = {"bottles": {"b": {"runtime": "runc", "workspace": "clone", "egress": rules}}, "agents": {"a": {"bottle": "b", "provider": "shell"}}}
        run_dir = self.world.path("run")
        os.makedirs(run_dir, mode=0o700)
        self.home = self.world.path("remote-home")
        self.env = {**self.world.environment(self.config, self.home), "XDG_RUNTIME_DIR": run_dir}
        self.env["PATH"] = self.far.bin + ":" + self.env["PATH"]
        bench.progress("the first start there: program and image are sent")
        self.start("--remote", self.far.target)
        self.start()
        self.link = bench.stack.enter_context(self.far.link(delay_ms=RTT * 1000))

    def popen(self, *args):
        return subprocess.Popen(self.world.command(*args), cwd=self.workspace, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def start(self, *where):
        """Runs one session to its end. Returns the seconds from the command to the agent's exec. (Both machines have
        the same clock.)"""
        begun, said = time.time(), []
        child = self.popen("start", "a", "--headless", "--yes", "--json", *where, "-p", "date +%s.%N")
        for line in child.stderr:
            said.append(line)
            if '"event":"running"' in line:
                self.told = time.time() - begun
        out = child.stdout.read()
        if child.wait(120) != 0:
            raise RuntimeError("a session failed: %s" % "".join(said)[-1500:])
        return float(out) - begun

    def far_received(self):
        """Returns the bytes that came over the far machine's link since the machine was created."""
        shown = subprocess.run(["ip", "-n", self.far.ns, "-j", "-s", "link", "show", "up0"], capture_output=True, text=True, check=True).stdout
        return json.loads(shown)[0]["stats64"]["rx"]["bytes"]

    def start_there(self):
        return self.start("--remote", self.far.target)

    def screen(self, command):
        """Runs a command on its own terminal, in the operator's namespace."""
        import pexpect
        if command[0] != "nsenter":
            command = ["nsenter", "--net=/run/netns/" + self.world.host_ns, "--", *command]
        return pexpect.spawn(command[0], command[1:], env={**self.env, "LC_ALL": "C.UTF-8"}, cwd=self.workspace, dimensions=(24, 80), timeout=120)

    def masters(self):
        """Returns the ssh processes that hold the session's connections."""
        found = []
        for pid in self.world_pids():
            with contextlib.suppress(OSError):
                if open("/proc/%s/comm" % pid).read() == "ssh\n" and self.env["XDG_RUNTIME_DIR"] in open("/proc/%s/cmdline" % pid).read():
                    found.append(int(pid))
        return found

    def world_pids(self):
        return subprocess.run(["ip", "netns", "pids", self.world.host_ns], capture_output=True, text=True).stdout.split()


def pair(bench):
    return bench.once("pair", lambda: Pair(bench))


@figure("remote_start_round_trips", 3, "trips", "remote", "from `bottle start --remote` to the agent's exec, beyond a local start, in round trips of an 80 ms cable")
def remote_start_round_trips(bench):
    p = pair(bench)
    told = []

    def there():
        p.link.set(delay_ms=RTT * 1000)
        seconds = p.start_there()
        told.append(p.told)
        return seconds

    def no_cable():
        p.link.set(delay_ms=0)
        return p.start_there()
    try:
        taken = bench.in_turn(bench.rounds(16), there=there, here=p.start, no_cable=no_cable)
    finally:
        p.link.set(delay_ms=RTT * 1000)
    far, near, beside = (median(taken[side]) for side in ("there", "here", "no_cable"))
    bench.note("there %.3f s, here %.3f s: medians of %d runs in turn; the operator is told %.3f s after the start" % (far, near, len(taken["there"]), median(told)))
    bench.note("the cable alone: %.2f round trips (there without it: %.3f s)" % ((far - beside) / RTT, beside))
    return (far - near) / RTT


@figure("resend_share", 0.03, "of all", "remote", "bytes that a second start sends of a workspace of 50 MB in which one line changed, of what the first sent")
def resend(bench):
    p = pair(bench)
    plain, sent, seconds = p.workspace, [], []
    p.workspace = p.world.workspace("large")
    try:
        for i in range(50):
            with open(os.path.join(p.workspace, "part-%d" % i), "wb") as file:
                file.write(os.urandom(1 << 20))
        for text in ("first\n", "second\n"):
            with open(os.path.join(p.workspace, "notes.txt"), "w") as file:
                file.write(text)
            git = ["git", "-C", p.workspace, "-c", "user.name=operator", "-c", "user.email=operator@example.org"]
            subprocess.run([*git, "add", "-A"], check=True)
            subprocess.run([*git, "commit", "-qm", text], check=True)
            before = p.far_received()
            seconds.append(p.start_there())
            sent.append(p.far_received() - before)
    finally:
        p.workspace = plain
    bench.note("first %.1f MB, agent after %.1f s; then %.0f KB, after %.1f s (a clone, so all of it twice: objects and files)" % (sent[0] / 1e6, seconds[0], sent[1] / 1e3, seconds[1]))
    return sent[1] / sent[0]


@figure("reattach_s", RTT + 0.300, "s", "remote", "from `bottle attach` to what the agent had said on the terminal: a round trip and 300 ms")
def reattach(bench):
    p = pair(bench)
    child = p.popen("start", "a", "--headless", "--yes", "--json", "--remote", p.far.target, "-p", "echo said-it; while :; do date +%s.%N; sleep 0.02; done")
    try:
        lines = iter(child.stdout.readline, "")
        next(line for line in lines if "said-it" in line)
        session = [name for name in os.listdir(os.path.join(p.world.state(p.home), "sessions")) if not name.startswith(".")][0]

        def attach():
            begun = time.time()
            second = p.popen("attach", session)
            try:
                next(line for line in second.stdout if "said-it" in line or line.startswith("1"))
                return time.time() - begun
            finally:
                second.kill()
                second.communicate()
        seconds = [attach() for _ in range(bench.rounds(12))]
        broken = []
        for _ in range(bench.rounds(8)):
            for pid in p.masters():
                os.kill(pid, signal.SIGKILL)
            killed = time.time()
            # Lines that were printed after the connection broke had to wait for the next connection.
            next(line for line in lines if line[:1] == "1" and float(line) > killed + 0.05)
            broken.append(time.time() - killed)
        bench.note("a killed ssh: %.2f s until the terminal shows what was missed (slowest %.2f), of which a new ssh connection is most" % (median(broken), max(broken)))
        p.popen("stop", session).communicate(timeout=60)
    finally:
        child.kill()
        child.communicate()
    return median(seconds)


def keystrokes(screen, count):
    """Returns the seconds from each key to its echo."""
    taken = []
    for i in range(count):
        key = b"abcdefghijklmnopqrstuvwxyz"[i % 26:i % 26 + 1]
        while True:  # output from before that is still in flight
            try:
                screen.read_nonblocking(4096, timeout=0.12)
            except Exception:
                break
        begun = time.time()
        screen.send(key)
        screen.expect_exact(key)
        taken.append(time.time() - begun)
    return taken


@figure("keystroke_ratio", 1.25, "x", "remote", "from a key to its echo in a bottle over an 80 ms cable that loses 1 %, of plain ssh's to `cat`")
def keystroke_ratio(bench):
    p = pair(bench)
    p.link.set(loss=0.01)
    screens = {
        "bottle": p.screen(p.world.command("start", "a", "--yes", "--remote", p.far.target)),
        "bottle with mosh": p.screen(p.world.command("start", "a", "--yes", "--remote", p.far.target, "--transport", "mosh")),
        "ssh": p.screen(["ssh", "-tt", p.far.target, "cat"]),
        "mosh": p.screen(["mosh", p.far.target, "--", "cat"]),
    }
    taken = {name: [] for name in screens}
    try:
        for name in ("bottle", "bottle with mosh"):
            screens[name].expect("agent runs")
            screens[name].sendline("stty -echoctl; echo here-$((1+1)); cat")
            screens[name].expect("here-2")
        time.sleep(2)
        for _ in range(bench.rounds(8)):
            for name, screen in screens.items():
                taken[name] += keystrokes(screen, 12)
    finally:
        p.link.set(loss=0)
        for name, screen in screens.items():
            if name.startswith("bottle"):
                screen.send("\r\x04exit\r")
                with contextlib.suppress(Exception):
                    import pexpect
                    screen.expect(pexpect.EOF, timeout=60)
            screen.close(force=True)
    for name, values in taken.items():
        ordered = sorted(values)
        bench.note("%-17s median %3.0f ms, 95 %% %4.0f ms, of %d keys" % (name, 1000 * median(values), 1000 * ordered[int(len(ordered) * 0.95)], len(values)))
    return median(taken["bottle"]) / median(taken["ssh"])
