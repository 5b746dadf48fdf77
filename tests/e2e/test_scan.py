"""bottle scan and the guard: the corpus of tests/scan, and what the command prints."""

import json
import os
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scan"))
import corpus  # noqa: E402
import judge  # noqa: E402
import through_guard  # noqa: E402

BOTTLE = os.environ.get("BOTTLE", "build/release/bottle")


def scan(*arguments, stdin=b""):
    return subprocess.run([BOTTLE, "scan", *map(str, arguments)], input=stdin, capture_output=True)


def test_the_corpus_is_detected(tmp_path):
    result = judge.judge(BOTTLE, str(tmp_path), seed=11)
    assert result.leaks >= 2000 and result.harmless >= 600
    assert len(result.missed) * 50 <= result.leaks, result.missed
    assert not result.false_alarms
    assert len(result.warned) * 100 <= result.harmless, result.warned


def test_the_guard_stops_the_corpus(tmp_path):
    result = through_guard.judge(BOTTLE, str(tmp_path), seed=11, leaks=300, harmless=120)
    assert result.leaks == 300 and result.harmless == 120
    assert len(result.missed) * 50 <= result.leaks, result.missed
    assert not result.false_alarms and not result.in_audit


def test_a_forwarding_proxy_stops_nothing(tmp_path):
    """A leak that counts as stopped by the guard must not count as stopped by a proxy that only forwards."""
    assert through_guard.forward(str(tmp_path), seed=11, leaks=100) == (0, 100)


def test_the_rule_compiler_ends_when_bottle_dies(until):
    with subprocess.Popen([BOTTLE, "compile-rules"], stdin=subprocess.PIPE) as compiler:
        try:
            limits = f"/proc/{compiler.pid}/limits"
            assert until(lambda: re.search(r"Max cpu time +10 +12 ", open(limits).read()), 30)
        finally:
            compiler.kill()


def test_the_corpus_depends_only_on_its_seed():
    assert (
        corpus.digest(corpus.leaks(5, 200))
        == corpus.digest(corpus.leaks(5, 200))
        != corpus.digest(corpus.leaks(6, 200))
    )


def test_found_values_are_never_printed():
    token = corpus.Maker(3).kinds()["github"]
    for arguments in (["-"], ["-", "--json"]):
        done = scan(*arguments, stdin=b"token: " + token.encode())
        assert done.returncode == 1
        assert token.encode() not in done.stdout + done.stderr and token[4:].encode() not in done.stdout
        assert b"github-token" in done.stdout


def test_scan_exits_with_the_documented_status(tmp_path):
    assert scan("-", stdin=b"nothing to see here").returncode == 0
    assert scan(tmp_path / "missing").returncode == 125
    bad = tmp_path / "bad.rules"
    bad.write_text("[x]\nis: y\ncheck: z\n")
    done = scan("-", "--rules", bad)
    assert done.returncode == 125 and b'bad.rules: line 3: unknown check "z"' in done.stderr


def test_exceptions_and_own_rules_apply(tmp_path):
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


def rule(name, pattern, yes, no="-"):
    return f"[{name}]\nis: a test key\npattern: {pattern}\nyes: {yes}\nno: {no}\n"


FINE = rule("fine", "acme_[a-z0-9]{20}", "acme_<base36 20>")
SLOW = rule("slow", "(a|b|ab)*acme[a-z]{1,30000}x", "acme")  # compiling it takes minutes


def test_a_rule_that_takes_too_long_to_compile_is_named(tmp_path):
    (tmp_path / "fine.rules").write_text(FINE)
    (tmp_path / "slow.rules").write_text("# a comment\n" + SLOW)
    done = scan("-", "--rules", tmp_path / "fine.rules", "--rules", tmp_path / "slow.rules")
    assert done.returncode == 125
    assert b'slow.rules: line 4: rule "slow": compiling its patterns takes more than 10 seconds' in done.stderr, done.stderr


def compile_for_a_second(rules):
    """Returns what the compiler did when its limit ended it."""
    limited = ["sh", "-c", 'ulimit -t 1; exec "$@"', "sh", BOTTLE, "compile-rules"]
    done = subprocess.run(limited, input=rules.encode(), capture_output=True)
    assert done.returncode in (-signal.SIGXCPU, -signal.SIGKILL), done
    return done.stderr.splitlines()[-1].decode()


def test_the_rule_compiler_names_the_step_that_took_too_long():
    assert compile_for_a_second(FINE + SLOW) == 'line 8: rule "slow": compiling its patterns'
    many = rule("many", "acme[a-z]", "\nyes: ".join(["acmes"] * 1_200_000))
    assert re.match(r'line \d+: rule "many": checking its example', compile_for_a_second(many))


def test_a_mistake_in_the_second_rules_file_is_reported_with_its_line(tmp_path):
    (tmp_path / "fine.rules").write_text(FINE)
    (tmp_path / "bad.rules").write_text("\n" + rule("bad", "(acme", "acme"))
    done = scan("-", "--rules", tmp_path / "fine.rules", "--rules", tmp_path / "bad.rules")
    assert done.returncode == 125
    assert b'bad.rules: line 4: rule "bad": the pattern is not valid: Missing close parenthesis' in done.stderr, done.stderr
    (tmp_path / "bad.rules").write_text("\n" + rule("bad", "acme", "other"))
    done = scan("-", "--rules", tmp_path / "fine.rules", "--rules", tmp_path / "bad.rules")
    assert b'bad.rules: line 5: rule "bad" does not find its example "other"' in done.stderr, done.stderr
