"""The token's value is in the launcher's environment, where the operator put it, and in the guard's memory. It is
nowhere else."""

import base64
import json
import os

from attacks import ECHOES
from look import make_file, running
from values import RULE, SEND_ALL, check_nothing_left, files_with, start_with, what_must_not_leave


def test_the_token_appears_nowhere(world, operator, until):
    token = world.token.encode()
    process = operator.background(
        "while [ ! -e /tmp/go ]; do sleep 0.1; done; exit 3", secrets={"copy": {"from": "env:CLAUDE_BOTTLE_OAUTH_TOKEN", "hosts": ["inspected.example.org"], "env": "COPY"}})
    running(operator, until)
    both = [c for c in world.engine("GET", "/containers/json?all=1") if c["Labels"].get("bottle.role") in ("agent", "guard")]
    assert len(both) == 2, both
    for container in both:
        assert world.token not in world.engine("GET", "/containers/%s/json" % container["Id"], raw=True)
        assert world.token not in world.docker("top", container["Id"], check=False).stdout
    allowed_to_have_it = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            assert token not in open("/proc/%s/cmdline" % pid, "rb").read(), "argv of %s" % pid
            if token in open("/proc/%s/environ" % pid, "rb").read():
                allowed_to_have_it.add(os.path.basename(os.readlink("/proc/%s/exe" % pid)))
        except OSError:
            continue
    assert allowed_to_have_it <= {"bottle", "nsenter"}, allowed_to_have_it
    assert files_with([token], operator.home, os.path.join(world.dir, "data", "containers"), os.path.join(world.dir, "data", "volumes")) == []
    [agent] = [c["Id"] for c in world.engine("GET", "/containers/json") if c["Labels"].get("bottle.role") == "agent"]
    make_file(world, agent, "/tmp/go")
    out, err = process.communicate(timeout=360)
    assert process.returncode == 3, (out, err)
    assert world.token not in out + err
    assert files_with([token], operator.home, os.path.join(world.dir, "data", "containers"), os.path.join(world.dir, "data", "image")) == []
    assert files_with([token], operator.workspace) == []


def test_listed_secrets_do_not_leave(world, operator):
    values, config = what_must_not_leave(operator)
    env = {"MARKED_HERE": values["MARKED"]}
    session = start_with(operator, SEND_ALL, variables=env, **config)
    check_nothing_left(session, values)
    value = values["prod.env:DB_PASSWORD"].encode()
    places = [operator.home, os.path.join(world.dir, "data", "containers"), os.path.join(world.dir, "data", "volumes")]
    assert files_with([value], *places) == [os.path.join(operator.home, "prod.env")]
    shown = operator.bottle("start", "a", "--dry-run", config=operator.config(**config), env=env)
    assert "for the values of" in shown.stdout + shown.stderr and "MARKED (from MARKED_HERE) (must not leave)" in shown.stdout + shown.stderr


def test_a_bad_rule_is_named_before_anything_is_made(world, operator):
    path = os.path.join(operator.home, "acme.rules")
    for text, said in (
        (RULE.replace("pattern: ", "pattern: ("), "acme.rules: line 3: "),
        (RULE + "yes: acme_2\n", "acme.rules: line 6: rule \"acme-key\" does not find its example"),
        ("[a]\nis: b\n", "acme.rules: line 2: "),
        (RULE.replace("acme_[a-z0-9]{20}", "(acme.{1,2000}[a-z]{1,2000}x){50,2000}"), "acme.rules: "),
    ):
        with open(path, "w") as file:
            file.write(text)
        session = start_with(operator, "true", variables={}, scan={"rules": [path]})
        assert session.status == 125 and said in session.err, session.explain()
        assert operator.sessions() == []
    os.chmod(path, 0o666)
    session = start_with(operator, "true", variables={}, scan={"rules": [path]})
    assert session.status == 125 and "is writable by everyone" in session.err, session.explain()


def test_a_bound_secret_reaches_only_its_host(world, operator):
    secret = {"mine": {"from": "env:MINE", "hosts": ["inspected.example.org"], "env": "MINE", "header": "Authorization: Bearer {}"}}
    value = "value-" + os.urandom(16).hex()
    session = operator.start(
        "echo \"inside: $MINE\"; curl -sS -m 20 -H \"Authorization: Bearer $MINE\" https://inspected.example.org/; "
        "curl -sS -m 20 -H \"X: $MINE\" http://allowed.example.org/; curl -sS -m 20 \"http://allowed.example.org/?q=$MINE\"; true",
        secrets=secret, env={"MINE": value}, egress={"allow": ["allowed.example.org", "inspected.example.org"]})
    assert session.status == 0, session.explain()
    assert value not in session.out + session.err
    sent = world.seen("inspected.example.org", session.since)
    assert [r["headers"].get("Authorization") for r in sent] == ["Bearer " + value], session.explain()
    assert world.seen("allowed.example.org", session.since) == []
    assert session.denials("allowed.example.org")
    assert value not in str(session.audit())


ECHOED_SECRET = {"mine": {"from": "env:MINE", "hosts": ["inspected.example.org"], "env": "MINE", "in": ["header", "body"]}}


def test_a_bound_secret_does_not_come_back(world, operator):
    """The value goes to its host, and no part of it comes back."""
    value = "va\"lue/" + os.urandom(16).hex()
    session = operator.start(ECHOES, secrets=ECHOED_SECRET, env={"MINE": value}, egress={"allow": ["inspected.example.org"]})
    assert session.status == 0, session.explain()
    # The stand-in sends the head separately, so a finding in the body breaks off the answer and resets the HTTP/2 stream.
    # If both have come before the guard sends anything on, it refuses the whole answer.
    assert session.out.count(" 403") >= 1 and session.out.count(" 403") + session.err.count("curl: (92)") == 4, session.explain()
    assert '"hello"} 200' in session.out, session.explain()
    assert value[8:] not in session.out and base64.b64encode(value.encode()).decode()[8:-8] not in session.out
    sent = world.seen("inspected.example.org", session.since)
    assert [r["headers"].get("Authorization", "")[:5] for r in sent] == ["Basic", "Beare", "", ""], sent
    assert json.loads(sent[2]["body"]) == {"key": value} and not any("X-Trace" in r["headers"] for r in sent), sent
    assert {d["code"] for d in session.denials("inspected.example.org")} == {"secret", "secret_in_answer"}
