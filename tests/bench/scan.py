"""The suite "scan": how much of a corpus of leaks the scanner finds, what it finds in harmless traffic, and its cost."""

import json
import os
import subprocess
import sys
import tempfile

from figures import figure

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "scan"))
import judge  # noqa: E402

BOTTLE = os.environ.get("BOTTLE", os.path.join(ROOT, "build", "release", "bottle"))
TOOL = os.path.join(os.environ.get("BENCH_TOOLS", os.path.join(ROOT, "build", "release", "bench")), "bench_scan")
SEED = int(os.environ.get("SCAN_SEED", "1"))


def judged(bench):
    def run():
        with tempfile.TemporaryDirectory(prefix="bottle-scan-") as directory:
            return judge.judge(BOTTLE, directory, SEED)

    return bench.once("judged", run)


def costs(bench):
    return bench.once("costs", lambda: json.loads(subprocess.run([TOOL], check=True, stdout=subprocess.PIPE).stdout))


@figure(
    "scan_containment", limit=98, unit="%", suite="scan", at_least=True, says="of the corpus of leaks, what is found"
)
def scan_containment(bench):
    result = judged(bench)
    bench.note("%d of %d leaks; seed %d" % (result.leaks - len(result.missed), result.leaks, SEED))
    for name in result.missed[:10]:
        bench.note("missed: " + name)
    return 100 * (1 - len(result.missed) / result.leaks)


@figure(
    "scan_false_alarms", limit=0, unit="", suite="scan", says="harmless cases in which something is found that blocks"
)
def scan_false_alarms(bench):
    result = judged(bench)
    bench.note("of %d harmless cases" % result.harmless)
    for name in result.false_alarms[:10]:
        bench.note("alarm: " + name)
    return len(result.false_alarms)


@figure("scan_clean_ns", limit=1.2, unit="ns/B", suite="scan", says="CPU time for a byte of clean text")
def scan_clean_ns(bench):
    return costs(bench)["clean_ns"]


@figure(
    "scan_worst_ns", limit=12, unit="ns/B", suite="scan", says="CPU time for a byte of the slowest input, at most ten times the limit of clean text"
)
def scan_worst_ns(bench):
    slow = costs(bench)["slow"]
    for name, value in sorted(slow.items(), key=lambda item: -item[1])[:5]:
        bench.note("%s: %.2f ns/B" % (name, value))
    return max(slow.values())


@figure(
    "scan_worst_ratio",
    limit=10,
    unit="x",
    suite="scan",
    says="the same, of what was measured for clean text",
)
def scan_worst_ratio(bench):
    return max(costs(bench)["slow"].values()) / costs(bench)["clean_ns"]
