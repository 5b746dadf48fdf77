"""Tests the harness of scripts/bench: programs can read its output, and a missed limit sets the exit status. Does not
test the limits themselves, because this machine may be busy."""

import json
import os
import subprocess
import sys

BENCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench")
NAMES = ["start_ratio", "teardown_s", "blind_bulk_ratio", "connect_cpu_ratio", "handshake_cpu_ratio", "inspected_get_ratio",
         "inspected_down_ratio", "inspected_up_ratio", "inspected_text_up_ratio", "event_delay_us", "h2_stream_kb", "whole_bodies",
         "guard_idle_mb", "first_connect_ms", "idle_tunnel_kb", "idle_inspected_kb", "h2_up_ratio", "held_tunnel_kb",
         "held_inspected_kb", "held_growth"]

HARNESS = """
import sys
sys.path.insert(0, sys.argv[1])
import figures
@figures.figure("low", 1.5, "x", "made", "at most")
def low(bench):
    return bench.ratio(lambda: 3.0, lambda: 2.0)
@figures.figure("high", 10, "MB/s", "made", "at least", at_least=True)
def high(bench):
    return float(sys.argv[2])
@figures.figure("broken", 1, "s", "made", "cannot be measured")
def broken(bench):
    bench.stack.callback(print, "cleaned", file=sys.stderr)
    raise RuntimeError("no such thing")
sys.exit(figures.run(sys.argv[3:], quick=True, as_json=True))
"""


def harness(*arguments):
    return subprocess.run([sys.executable, "-c", HARNESS, BENCH, *arguments], capture_output=True, text=True, timeout=240)


def test_bench_lists_every_figure():
    done = subprocess.run([sys.executable, os.path.join(BENCH, "bench.py"), "--list"], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert sorted(line.split()[0] for line in done.stdout.splitlines()) == sorted(NAMES)


def test_json_has_only_name_value_limit_and_unit():
    done = harness("11", "low", "high")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"figures": [{"name": "low", "value": 1.5, "limit": 1.5, "unit": "x"},
                                                   {"name": "high", "value": 11.0, "limit": 10, "unit": "MB/s"}]}


def test_a_missed_limit_is_named_and_changes_the_exit_status():
    done = harness("9", "low", "high")
    assert done.returncode == 1
    assert "missed: high" in done.stderr and "low" not in done.stderr.split("missed:")[1]


def test_a_failing_measurement_is_cleaned_up_and_the_others_still_run():
    done = harness("11", "broken", "high")
    assert done.returncode == 1
    assert "no such thing" in done.stderr and "cleaned" in done.stderr
    assert [f["value"] for f in json.loads(done.stdout)["figures"]] == [None, 11.0]


def test_an_unknown_name_is_refused():
    done = subprocess.run([sys.executable, os.path.join(BENCH, "bench.py"), "--list", "speed"], capture_output=True, text=True, timeout=240)
    assert done.returncode == 2 and "speed" in done.stderr
