"""Tests `bottle egress` and `bottle audit` on a running session: what its guard decides, its counters, and its record, which survives
the guard and reveals changes."""

import json
import os
import subprocess

from far import background, running
from watched import LOOP, SITE, Watched, guard_of, kill_guard, metrics


def runs(operator, name):
    return name in operator.sessions()


def test_egress_commands_work_for_a_session_on_another_machine(world, remote, far, until):
    """The far guard decides, and the operator sees it at once on the near side."""
    process = background(remote, far, LOOP % SITE)
    running(remote, until)
    name = remote.sessions()[0]
    environment = {**world.environment(home=remote.home), **remote.extra_env}
    watch = subprocess.Popen(world.command("egress", "watch", name, "--json"), env=environment, cwd=remote.workspace, stdout=subprocess.PIPE, text=True)
    first = json.loads(watch.stdout.readline())
    assert first["action"] == "deny" and first["host"] == SITE and "side" not in first, first
    denied = 'bottle_host_decisions_total{session="%s",host="%s",action="deny"}' % (name, SITE)
    assert until(lambda: metrics(remote, name).get(denied, 0) > 1, 30), metrics(remote, name)
    assert metrics(remote, name)['bottle_guard_up{session="%s"}' % name] == 1
    logs = subprocess.Popen(world.command("logs", "--egress", "--follow", name, "--json"), env=environment, cwd=remote.workspace, stdout=subprocess.PIPE,
                            text=True)
    earliest = json.loads(logs.stdout.readline())
    assert runs(remote, name) and earliest["time"] <= first["time"], "what was decided before is shown while the session runs"
    remote.bottle("stop", name, env=remote.extra_env)
    out, _ = watch.communicate(timeout=360)
    logged = logs.stdout.read()  # communicate() would lose what readline() has read ahead
    assert logs.wait(360) == 0
    process.communicate(timeout=360)
    assert watch.returncode == 0
    shown = [first, *map(json.loads, out.splitlines())]
    assert shown[-1]["action"] == "end", shown[-1]
    record = os.path.join(world.state(remote.home), "results", name, "egress.jsonl")
    with open(record) as file:
        ids = [line.get("id") for line in map(json.loads, file)]
    watched = [line.get("id") for line in shown]
    assert watched == ids[-len(watched):], "each decision once, and none is missing"
    assert [earliest.get("id"), *(json.loads(line).get("id") for line in logged.splitlines())] == ids


def verify(operator, name):
    done = operator.bottle("audit", "verify", name, "--json")
    return done.returncode, json.loads(done.stdout)["files"][0]


def test_egress_commands_watch_count_and_verify_a_session(world, operator, until):
    session = Watched(operator, until, LOOP % SITE)
    assert session.sees("now shut\n"), session.text
    name = operator.sessions()[0]
    watch = subprocess.Popen(world.command("egress", "watch", name, "--json"), env=world.environment(home=operator.home), cwd=operator.workspace,
                             stdout=subprocess.PIPE, text=True)
    first = json.loads(watch.stdout.readline())
    assert first["action"] == "deny" and first["host"] == SITE, first

    denied = 'bottle_host_decisions_total{session="%s",host="%s",action="deny"}' % (name, SITE)
    before = metrics(operator, name)
    assert before['bottle_guard_up{session="%s"}' % name] == 1 and before[denied] > 0, before
    status, record = verify(operator, name)
    assert status == 0 and not record["closed"] and not record["faults"], record

    restarts = 'bottle_guard_restarts_total{session="%s"}' % name
    kill_guard(world, guard_of(world))
    assert until(lambda: metrics(operator, name)[restarts] == 1, 30), metrics(operator, name)
    assert until(lambda: metrics(operator, name)[denied] > before[denied] + 3, 30), metrics(operator, name)
    session.stop()
    out, _ = watch.communicate(timeout=360)
    assert watch.returncode == 0 and json.loads(out.splitlines()[-1])["action"] == "end", out[-1000:]

    status, record = verify(operator, name)
    assert status == 0 and record["closed"] and record["sealed"], record
    with open(record["file"]) as file:
        lines = file.readlines()
    assert record["lines"] == len(lines)
    with open(record["file"], "w") as file:
        file.writelines(lines[:2] + lines[3:])
    status, record = verify(operator, name)
    assert status == 1 and [(f["kind"], f["line"]) for f in record["faults"]] == [("missing", 3)], record
