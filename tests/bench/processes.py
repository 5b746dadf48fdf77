"""Starts the measured programs on 127.0.0.1, reads their CPU time and memory, and ends them by their process ids."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Program:
    def __init__(self, stack, argv, port=None, log=None, **kwargs):
        self.argv, self.port = argv, port
        self.log = log
        out = open(log, "ab") if log else subprocess.DEVNULL
        self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, **kwargs)
        stack.callback(self.end)
        if port:
            self.await_port()

    def await_port(self, seconds=30):
        until = time.time() + seconds
        while time.time() < until:
            if self.child.poll() is not None:
                break
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.02)
        tail = open(self.log, errors="replace").read()[-1500:] if self.log else ""
        raise RuntimeError("%s did not come up on port %d\n%s" % (" ".join(self.argv[:3]), self.port, tail))

    def end(self):
        if self.child.poll() is None:
            for sign in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.child.pid, sign)  # a separate session, so that signals reach only its processes
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.child.wait(5)
                    break

    def pids(self):
        """Returns the process id of the program and those of its children."""
        found, fresh = [], [self.child.pid]
        while fresh:
            pid = fresh.pop()
            found.append(pid)
            with contextlib.suppress(OSError):
                for task in os.listdir("/proc/%d/task" % pid):
                    fresh += [int(c) for c in open("/proc/%d/task/%s/children" % (pid, task)).read().split()]
        return found

    def cpu(self):
        """Returns the seconds of CPU time so far, user and system, of all threads. Uses the clock of
        clock_getcpuclockid(3), which counts nanoseconds; /proc counts only hundredths of a second."""
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self.pids())

    def resident(self):
        """Returns the resident memory in bytes."""
        return sum(int(re.search(r"VmRSS:\s+(\d+)", open("/proc/%d/status" % pid).read()).group(1)) * 1024 for pid in self.pids())


def load(tool, mode, **options):
    """Runs bench_load to its end. Returns what it counted."""
    argv = [tool, mode]
    for name, value in options.items():
        if value is not None:
            argv += ["--" + name, str(value)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError("bench_load %s: %s" % (mode, done.stderr.strip()[-600:]))
    return json.loads(done.stdout)


@contextlib.contextmanager
def holding(tool, mode, **options):
    """Runs bench_load hold or hold-tls: its connections are idle inside the block."""
    with standing([tool, mode] + [str(x) for name, value in options.items() if value is not None for x in ("--" + name, value)]):
        yield


@contextlib.contextmanager
def standing(argv):
    """Starts a program that prints a line when it is ready, and exits at the end of its stdin."""
    child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        if not child.stdout.readline():
            raise RuntimeError("%s: %s" % (" ".join(argv[:2]), child.stderr.read()[-600:]))
        yield
    finally:
        child.stdin.close()
        child.wait(30)
        child.stdout.close()
        child.stderr.close()
