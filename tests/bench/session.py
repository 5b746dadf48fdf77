"""Measures a session: how long until the agent runs, and until everything is confirmed to be gone. Uses tests/world,
with a dockerd whose only uplink is another namespace."""

import json
import os
import subprocess
import sys
import time

from figures import figure, median

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "world"))


class Place:
    def __init__(self, bench):
        self.world = bench.world()
        self.image = self.world.load_image("shell")
        self.workspace = self.world.workspace()
        rules = {"allow": ["allowed.example.org"], "extra_ca": [self.world.ca]}
        self.config = {"bottles": {"b": {"runtime": "runc", "egress": rules}}, "agents": {"a": {"bottle": "b", "provider": "shell"}}}
        # The guard's image and the shared egress network are made only once per engine, so they do not count.
        self.start()
        self.docker_run()

    def docker_run(self):
        """Returns the seconds of one `docker run --rm` of the same image, from its start to its end."""
        command = ["nsenter", "--net=/run/netns/" + self.world.host_ns, "--", "docker", "-H", "unix://" + self.world.socket, "run", "--rm",
                   "--network", "bridge", self.image, "true"]
        begun = time.time()
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        return time.time() - begun

    def start(self):
        """Runs one session whose agent prints when it started and ended. Returns the seconds to its exec, and from its
        end to the receipt."""
        env = self.world.environment(self.config)
        command = self.world.command("start", "a", "--headless", "--yes", "--json", "-p", "date +%s.%N; date +%s.%N")
        begun = time.time()
        child = subprocess.Popen(command, cwd=self.workspace, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 text=True)
        result, heard = None, None
        lines = []
        for line in child.stderr:
            lines.append((time.time() - begun, line.rstrip()))
            if '"receipt"' in line:
                heard, result = time.time(), json.loads(line)
        out = child.stdout.read()
        if child.wait(60) != 0 or not result or not result["receipt"]["confirmed"]:
            raise RuntimeError("a session failed: %s %s" % (out, "\n".join(l for _, l in lines)[-1500:]))
        first, last = map(float, out.split())
        self.lines = lines
        return first - begun, heard - last


def place(bench):
    return bench.once("place", lambda: Place(bench))


@figure("start_ratio", 1.4, "x", "session", "from `bottle start` to the agent's exec, self-test included, of one bare `docker run --rm` of its image")
def start_ratio(bench):
    p = place(bench)
    ends = bench.once("teardowns", list)

    def start():
        begun, ended = p.start()
        ends.append(ended)
        return begun
    return bench.ratio(start, p.docker_run, rounds=16, form="%.3f s")


@figure("teardown_s", 1.0, "s", "session", "from the agent's end to the receipt that the engine confirmed")
def teardown_s(bench):
    p = place(bench)
    ends = bench.once("teardowns", list) or [p.start()[1] for _ in range(bench.rounds(16))]
    bench.note("fastest %.2f, slowest %.2f, %d sessions" % (min(ends), max(ends), len(ends)))
    return median(ends)
