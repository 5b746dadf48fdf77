"""bottle scan and the guard: the corpus of tests/scan, and what the command prints."""

import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scan"))
import corpus  # noqa: E402
import judge  # noqa: E402
import through_guard  # noqa: E402

BOTTLE = os.environ.get("BOTTLE", "build/release/bottle")


def scan(*arguments, stdin=b""):
    return subprocess.run([BOTTLE, "scan", *map(str, arguments)], input=stdin, capture_output=True)


def test_corpus(tmp_path):
    result = judge.judge(BOTTLE, str(tmp_path), seed=11)
    assert result.leaks >= 2000 and result.harmless >= 600
    assert len(result.missed) * 50 <= result.leaks, result.missed
    assert not result.false_alarms
    assert len(result.warned) * 100 <= result.harmless, result.warned


def test_corpus_through_the_guard(tmp_path):
    result = through_guard.judge(BOTTLE, str(tmp_path), seed=11, leaks=300, harmless=120)
    assert result.leaks == 300 and result.harmless == 120
    assert len(result.missed) * 50 <= result.leaks, result.missed
    assert not result.false_alarms and not result.in_audit


def test_forwarding_stops_nothing(tmp_path):
    """What counts as stopped through the guard does not count where the proxy looks at nothing."""
    assert through_guard.forward(str(tmp_path), seed=11, leaks=100) == (0, 100)


def test_the_compiler_of_rules_ends_although_bottle_died(until):
    with subprocess.Popen([BOTTLE, "compile-rules"], stdin=subprocess.PIPE) as compiler:
        try:
            limits = f"/proc/{compiler.pid}/limits"
            assert until(lambda: re.search(r"Max cpu time +12 +12 ", open(limits).read()), 30)
        finally:
            compiler.kill()


def test_corpus_comes_from_its_seed():
    assert (
        corpus.digest(corpus.leaks(5, 200))
        == corpus.digest(corpus.leaks(5, 200))
        != corpus.digest(corpus.leaks(6, 200))
    )


def test_value_is_never_printed():
    token = corpus.Maker(3).kinds()["github"]
    for arguments in (["-"], ["-", "--json"]):
        done = scan(*arguments, stdin=b"token: " + token.encode())
        assert done.returncode == 1
        assert token.encode() not in done.stdout + done.stderr and token[4:].encode() not in done.stdout
        assert b"github-token" in done.stdout


def test_exit_status(tmp_path):
    assert scan("-", stdin=b"nothing to see here").returncode == 0
    assert scan(tmp_path / "missing").returncode == 125
    bad = tmp_path / "bad.rules"
    bad.write_text("[x]\nis: y\ncheck: z\n")
    done = scan("-", "--rules", bad)
    assert done.returncode == 125 and b'bad.rules: line 3: there is no check "z"' in done.stderr


def test_exception_and_own_rule(tmp_path):
    token = corpus.Maker(4).kinds()["gitlab"].encode()
    found = json.loads(scan("-", "--json", stdin=token).stdout)["files"][0]["findings"]
    assert [f["rule"] for f in found] == ["gitlab-token"]
    assert scan("-", "--allow", found[0]["fingerprint"], stdin=token).returncode == 0
    rules = tmp_path / "own.rules"
    rules.write_text("[acme]\nis: an Acme key\npattern: acme_[a-z0-9]{20}\nyes: acme_<base36 20>\nno: acme_1\n")
    text = b"acme_" + b"k3j9x0q2w8e7r6t5y4u1"
    assert scan("-", stdin=text).returncode == 0
    done = scan("-", "--rules", rules, stdin=text)
    assert done.returncode == 1 and b"an Acme key" in done.stdout
    rules.write_text(rules.read_text().replace("yes: acme_<base36 20>", "yes: acme_<base36 2>"))
    done = scan("-", "--rules", rules, stdin=text)
    assert done.returncode == 125 and b"does not find its example" in done.stderr
