"""Tests budgets: a limit freezes a session's requests, the operator gets one message and raises the limit, and the
agent continues. The counts survive a restart of the guard, and the tokens are read from a model's answers."""

import os

import world as world_module
from far import background
from watched import SITE, Watched, guard_of, kill_guard, metrics

# Prints the version of HTTP and the status whenever they change.


POLL = ("for i in $(seq 4000); do now=$(curl -sS -m 20 -o /tmp/answer -w '%%{http_version} %%{http_code}' https://%s/$i 2>/dev/null); "
        "[ \"$now\" = \"$last\" ] || { echo \"now $now\"; grep raises /tmp/answer; }; last=$now; sleep 0.2; done; true") % SITE
LIMITED = {"allow": [{"host": SITE, "inspect": True, "limit": {"requests": 3}}]}
TOLD = "the limit of requests (3) is reached for " + SITE
ASK = ("curl -sS -m 20 -o /tmp/out -w '%{http_code}\\n' -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' "
       "-d '{\"model\":\"m-1\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}' https://api.anthropic.com/v1/messages\n")
SIGN_IN = {"claude-oauth": {"from": "env:CLAUDE_BOTTLE_OAUTH_TOKEN", "hosts": ["api.anthropic.com"], "env": "TOKEN",
                            "header": "Authorization: Bearer {}"}}


def test_a_reached_limit_blocks_requests_is_reported_once_and_can_be_raised(world, operator, until):
    session = Watched(operator, until, POLL, egress=LIMITED)
    assert session.sees("now 2 200\nnow 2 403\nA limit of the session is reached. Nothing more passes until the operator raises it.\n"), session.text
    [name] = operator.sessions()
    requests = 'bottle_host_requests_total{session="%s",host="%s"}' % (name, SITE)
    assert until(lambda: metrics(operator, name).get(requests) == 3, 20), metrics(operator, name)  # the guard reports this over another channel
    for bad in ("requests=x", "request=5", "cost=1"):
        assert operator.bottle("allow", name, SITE, "--limit", bad).returncode == 125, bad
    done = operator.bottle("allow", name, SITE, "--limit", "requests=10k")
    assert done.returncode == 0 and "changed the limits of " + SITE in done.stdout, done
    assert session.sees("raises it.\nnow 2 200\n"), session.text
    assert until(lambda: metrics(operator, name)[requests] > 4, 30)

    before = metrics(operator, name)[requests]
    kill_guard(world, guard_of(world))
    assert until(lambda: metrics(operator, name)['bottle_guard_restarts_total{session="%s"}' % name] == 1, 30)
    assert until(lambda: metrics(operator, name)[requests] > before, 30), "the next guard continues from the counts"
    done = operator.bottle("allow", SITE, "--limit", "requests=%d" % before)  # a single argument that does not name a session
    assert done.returncode == 0, done
    assert until(lambda: session.sees("\n", 1) and session.text.count("A limit") == 2, 40), session.text
    err = session.stop()
    assert err.count(TOLD) == 1 and "bottle allow %s %s --limit requests=6\n" % (name, SITE) in err, err
    assert err.count("the limit of requests (%d) is reached" % before) == 1, err
    assert "Used:\n  %s: " % SITE in err and "limit_reached" in err, err


def test_tokens_are_counted_from_the_answers_of_a_model(operator):
    egress = {"allow": [{"host": "api.anthropic.com", "limit": {"tokens": 30, "cost": 1000}}],
              "prices": {"m-*": {"input": 100000, "output": 0}},
              "hosts": {"api.anthropic.com": [world_module.API_IP + ":443"]}}
    session = operator.start(ASK * 4, egress=egress, secrets=SIGN_IN)
    assert session.out.split() == ["200", "200", "403", "403"], session.explain()
    assert "api.anthropic.com: 2 requests, " in session.err and "20 tokens in, 24 out, about 2.00\n" in session.err, session.explain()
    assert session.err.count("the limit of tokens (30) is reached for api.anthropic.com") == 1, session.explain()
    used = [line["reason"] for line in session.audit() if line.get("code") == "usage"]
    assert used == ["10 tokens in, 12 out, m-1"] * 2, used


def test_the_near_broker_counts_the_tokens_of_a_remote_session(remote, far):
    """With the secret kept here, the broker reads the usage too, and would stop a machine that was taken over."""
    egress = {"allow": [{"host": "api.anthropic.com", "limit": {"tokens": 30}}], "hosts": {"api.anthropic.com": [world_module.API_IP + ":443"]}}
    session = remote.start(ASK * 3, "--remote", far.target, "--secrets", "tunnel", egress=egress, secrets=SIGN_IN, env=remote.extra_env)
    assert session.out.split() == ["200", "200", "403"], session.explain()
    assert session.err.count("the limit of tokens (30) is reached for api.anthropic.com") == 1, session.explain()
    used = sorted(line.get("side", "far") for line in session.audit() if line.get("code") == "usage" and line["reason"] == "10 tokens in, 12 out, m-1")
    assert used == ["far", "far", "near", "near"], session.audit()


def test_a_limit_on_a_remote_machine_is_reported_and_raised_on_the_near_side(remote, far, until):
    secret = {"claude-oauth": {**SIGN_IN["claude-oauth"], "hosts": [SITE]}}  # so that the requests go through the broker
    session = Watched.__new__(Watched)
    egress = {**LIMITED, "hosts": {SITE: [world_module.SITES[SITE] + ":443"]}}
    session.process = background(remote, far, POLL, "--secrets", "tunnel", egress=egress, secrets=secret)
    session.until, session.operator, session.text = until, remote, ""
    os.set_blocking(session.process.stdout.fileno(), False)
    assert session.sees("now 2 200\nnow 2 403\n", 90), session.text
    [name] = remote.sessions()
    done = remote.bottle("allow", name, SITE, "--limit", "requests=10000", env=remote.extra_env)
    assert done.returncode == 0 and "changed the limits" in done.stdout, done
    assert session.sees("raises it.\nnow 2 200\n"), session.text
    remote.bottle("stop", name, env=remote.extra_env)
    os.set_blocking(session.process.stdout.fileno(), True)
    _, err = session.process.communicate(timeout=360)
    assert err.count(TOLD) == 1 and "Used:\n  %s: " % SITE in err, err
