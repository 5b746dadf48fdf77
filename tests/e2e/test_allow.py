"""Tests policy changes while the agent works: allow and deny without a restart, the list of blocked hosts with the
rules that would allow them, and record mode."""

import json
import os
import time

from watched import LOOP, SITE, Watched


def test_allow_and_deny_reach_the_running_guard(world, operator, until):
    session = Watched(operator, until, LOOP % SITE)
    assert session.sees("now shut\n"), session.text
    name = operator.sessions()[0]
    for bad in ("10.0.0.1", "*", "no host", "a.example.org:99999"):
        assert operator.bottle("allow", name, bad).returncode == 125, bad
    done = operator.bottle("allow", name, SITE)
    assert done.returncode == 0 and "allowed " + SITE in done.stdout, done
    assert session.sees("now shut\nnow open\n"), session.text
    done = operator.bottle("deny", SITE)  # no name is needed, because there is only one session
    assert done.returncode == 0, done
    assert session.sees("now open\nnow shut\n"), session.text
    done = operator.bottle("allow", name, SITE, "--methods", "POST")
    assert done.returncode == 0, done
    assert until(lambda: any(each.get("method") == "GET" and each["action"] == "deny" for each in entries(operator, name)), 60)
    assert not session.ends_with("now open\n"), "only POST was allowed"
    done = operator.bottle("allow", name, SITE, "--methods", "GET,HEAD", "--paths", "/**")
    assert done.returncode == 0, done
    assert session.sees("now open\nnow shut\nnow open\n"), session.text
    err = session.stop()
    assert "Blocked:" in err and "- " + SITE in err, err


def entries(operator, *session):
    """Returns the record of a session, or without a name that of the session that ended last."""
    return [json.loads(line) for line in operator.bottle("logs", "--egress", *session).stdout.splitlines()]


KEPT = """
python3 - <<'END'
import http.client, os, time, urllib.parse
proxy = urllib.parse.urlsplit(os.environ["https_proxy"])
connection = http.client.HTTPSConnection(proxy.hostname, proxy.port)
connection.set_tunnel("%s", 443)
connection.connect()
connection.auto_open, last, passed = 0, None, 0
for number in range(6000):
    connection.request("GET", "/kept/%%d" %% number)
    answer = connection.getresponse()
    answer.read()
    passed += answer.status == 200
    if answer.status != last:
        print("now", answer.status, "after", passed, flush=True)
    last = answer.status
    if last != 200:
        break
    time.sleep(0.1)
END
"""


def test_deny_holds_for_the_next_request_of_a_kept_connection(world, operator, until):
    since = time.time()
    session = Watched(operator, until, KEPT % SITE, egress={"allow": [{"host": SITE, "inspect": True}]})
    assert session.sees("now 200 after 1\n"), session.text
    done = operator.bottle("deny", SITE)
    assert done.returncode == 0, done
    assert session.sees("now 403 after "), session.text
    session.stop()
    passed = int(session.text.split("403 after ")[1].split()[0])
    assert [entry["code"] for entry in entries(operator) if entry["action"] == "deny" and entry["host"] == SITE] == ["not_allowed"]
    # The rules may change while a request is on its way. It may have reached the site, but the agent gets no answer
    # from there.
    assert passed <= len(world.seen(SITE, since)) <= passed + 1, "a request went out after the answer that denies it"


def test_rules_added_to_a_running_session_survive_the_guard(world, operator, until):
    session = Watched(operator, until, LOOP % SITE)
    assert session.sees("now shut\n"), session.text
    assert operator.bottle("allow", SITE).returncode == 0
    assert session.sees("now open\n"), session.text
    [name] = operator.sessions()

    def passed():
        return sum(each["action"] == "allow" and each.get("host") == SITE for each in entries(operator, name))
    guard = [c for c in world.engine("GET", "/containers/json") if c["Labels"].get("bottle.role") == "guard"][0]["Id"]
    before = world.engine("GET", "/containers/%s/json" % guard)["State"]["StartedAt"]
    world.docker("kill", guard)
    assert until(lambda: world.engine("GET", "/containers/%s/json" % guard)["State"]["StartedAt"] != before, 30)
    count = passed()
    assert until(lambda: passed() > count + 1, 30), "one of the requests may have passed the guard that died"
    assert until(lambda: session.ends_with("now open\n"), 60), session.text
    session.stop()


def test_save_keeps_the_rest_of_the_file(world, operator, until):
    session = Watched(operator, until, LOOP % SITE)
    assert session.sees("now shut\n"), session.text
    where = os.path.join(operator.home, ".config", "bottle", "bottle.yaml")
    real = os.path.join(operator.home, "dotfile")  # a symlink, as configuration files often are
    text = ("# my bottles\nbottles:\n  b:\n    egress:\n      allow:\n        - allowed.example.org   # needed\n\n      # soft\n      on_secret: warn\n"
            "agents:\n  a: {bottle: b, provider: shell}  # mine\n")
    with open(real, "w") as file:
        file.write(text)
    os.remove(where)
    os.symlink(real, where)
    done = operator.bottle("allow", SITE, "--save")
    assert done.returncode == 0 and "saved the rule in" in done.stdout, done
    assert open(real).read() == text.replace("# needed\n", "# needed\n        - " + SITE + "\n")
    assert os.path.islink(where)
    # A file that cannot be edited is left alone, with an error.
    odd = "bottles:\n  b: &b\n    workspace: copy\n  c: *b\n"
    with open(real, "w") as file:
        file.write(odd)
    done = operator.bottle("allow", "other.example.org", "--save")
    assert done.returncode == 125 and "- other.example.org" in done.stderr, done
    assert open(real).read() == odd
    session.stop()


def test_the_summary_shows_the_rule_that_was_missing(world, operator):
    session = operator.start(
        "curl -sS -m 60 https://forbidden.example.net:8443/; curl -sS -m 60 https://inspected.example.org/ok/1; curl -sS -m 60 -X POST https://inspected.example.org/ok/2; "
        "curl -sS -m 60 https://169.254.169.254/; true", egress={"allow": [{"host": SITE, "methods": ["GET"], "paths": ["/ok/**"]}]})
    assert "- {host: forbidden.example.net, ports: [8443]}" in session.err, session.explain()
    assert "- {host: inspected.example.org, methods: [POST], paths: [\"/ok/2\"]}" in session.err, session.explain()
    assert "- 169" not in session.err, session.explain()


def test_record_mode_writes_the_rules_to_a_file(world, operator):
    script = "curl -sS -m 20 https://forbidden.example.net/a; curl -sS -m 20 http://inspected.example.org/b; curl -sS -m 20 https://allowed.example.org/; curl -sS -m 8 https://lan.example.org/; true"
    shut = operator.start(script)
    assert "hello from forbidden" not in shut.out, shut.explain()
    session = operator.start(script, "--record")
    assert "hello from forbidden.example.net" in session.out and "hello from inspected.example.org" in session.out, session.explain()
    assert "RECORD MODE, UNSAFE" in session.err, session.explain()
    name = [line.split("(session ")[1].split(")")[0] for line in session.err.splitlines() if "(session " in line][0]
    with open(os.path.join(world.state(operator.home), "results", name, "allow.yaml")) as file:
        rules = [line.strip() for line in file if line.strip().startswith("- ")]
    assert rules == ["- forbidden.example.net", "- inspected.example.org"], rules
    assert "CANARY" not in session.out, "private addresses stay shut"
    with open(os.path.join(world.state(operator.home), "results", name, "result.json")) as file:
        assert json.load(file)["egress"]["recorded"] == [rule[2:] for rule in rules]
