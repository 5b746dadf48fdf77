"""Tests what hostile names can make `bottle` print on the operator's terminal: one plain line and nothing else. Every
command runs on a terminal, with names that someone chose in order to control that terminal."""

import contextlib
import json
import os
import re
import shutil
import signal
import sys

import pexpect
import pytest

import world as world_module
from look import processes_of
from terminals import EVIL, FORGED, assert_harmless, end

sys.path.insert(0, os.path.join(world_module.ROOT, "tests", "standin"))
from engine import Engine  # noqa: E402


class Hostile:
    """A machine on which every name was chosen by an attacker."""

    def __init__(self, top):
        self.top = str(top)
        self.home = os.path.join(self.top, "home " + EVIL)
        self.work = os.fsdecode(os.fsencode(os.path.join(self.top, "work " + EVIL)) + b"\xff")
        self.socket = os.path.join(self.top, "engine.sock")
        self.bin = os.path.join(self.top, "bin")
        self.config = os.path.join(self.home, ".config", "bottle")
        self.state = os.path.join(self.home, ".local", "state", "bottle")
        for directory in (self.config, self.work, self.bin, os.path.join(self.work, ".bottle", "agents"), self.state):
            os.makedirs(directory)
        self.manifest()
        # The attacker's repository, with the attacker's branch.
        world_module.run("git", "init", "-q", "-b", "evil\u202e\u009b", self.work)
        self.write(os.path.join(self.work, ".bottle", "agents", "stranger.md"),
                   "---\ndescription: %s\nbottle: b\nprovider: shell\n---\n%s\n" % (json.dumps(EVIL), EVIL))
        # What a session of the attacker left, and a running one.
        for where, name in (("results", "s1"), ("results", EVIL), ("sessions", "s1"), ("sessions", EVIL)):
            os.makedirs(os.path.join(self.state, where, name), exist_ok=True)
        decision = json.dumps({"time": EVIL, "action": "deny", "kind": EVIL, "host": EVIL, "port": 443, "method": EVIL, "path": EVIL, "code": EVIL, "reason": EVIL},
                              ensure_ascii=False)
        for name in ("s1", EVIL):
            self.write(os.path.join(self.state, "results", name, "egress.jsonl"), decision + "\n")
            self.write(os.path.join(self.state, "results", name, "result.json"), json.dumps(
                {"session": EVIL, "bottle": EVIL, "exit": 1, "back": {"text": "ours\n" + EVIL.replace("\n", " "), "error": EVIL, "flagged": [EVIL]},
                 "egress": {"allowed": 1, "denied": [{"host": EVIL, "code": EVIL, "count": 1, "allow": EVIL}]}, "receipt": {"left": [EVIL]}}, ensure_ascii=False))
            self.write(os.path.join(self.state, "sessions", name, "info.json"), json.dumps(
                {"agent": EVIL, "bottle": EVIL, "workspace": EVIL, "machine": EVIL, "state": EVIL, "started": 1}, ensure_ascii=False))
        # A provider whose hooks print hostile text, and such an ssh and docker.
        words = "printf '%s' " + shell(EVIL)
        for hook in ("create", "ssh-info", "status", "destroy", "list"):
            self.program(os.path.join(self.config, "providers", EVIL.replace("/", ""), hook), words + " >&2; exit 77")
            answer = "printf '{\"status\": \"gone\"}'" if hook in ("status", "destroy") else words
            self.program(os.path.join(self.config, "providers", "other", hook), answer + "; " + words + " >&2; exit " + ("1" if hook == "create" else "0"))
        self.program(os.path.join(self.bin, "ssh"), words + " >&2; " + words + "; exit 255")
        self.program(os.path.join(self.bin, "docker"), words + "; echo; " + words + " >&2; exit 1")
        self.program(os.path.join(self.bin, "mmdebstrap"), words + " >&2; exit 1")
        self.program(os.path.join(self.bin, "npm"), words + " >&2; exit 1")

    def manifest(self, **more):
        content = {"bottles": {"b": {"env": {"A": "?" + EVIL}}, "built": {"dockerfile": "~/Dockerfile"}},
                   "agents": {"a": {"bottle": "b", "provider": "shell", "description": EVIL},
                              "built": {"bottle": "built", "provider": "command", "command": [EVIL]}},
                   "vms": {"lab": {"provider": "other", "options": {"region": EVIL}}}, **more}
        self.write(os.path.join(self.config, "bottle.yaml"), json.dumps(content))
        self.write(os.path.join(self.home, "Dockerfile"), "FROM scratch\n")

    def write(self, path, text):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
        return path

    def program(self, path, text):
        self.write(path, "#!/bin/sh\n" + text + "\n")
        os.chmod(path, 0o755)

    def show(self, *args, timeout=8):
        """Returns what bottle prints on a terminal for these arguments. Answers "n" to every question."""
        env = {"PATH": self.bin + ":" + os.environ["PATH"] + ":/usr/sbin:/sbin", "HOME": self.home, "XDG_CONFIG_HOME": self.home + "/.config",
               "XDG_STATE_HOME": self.home + "/.local/state", "XDG_CACHE_HOME": self.home + "/.cache", "DOCKER_HOST": "unix://" + self.socket, "LANG": "C.UTF-8",
               "TERM": "xterm", "MANPAGER": "cat", "CLAUDE_BOTTLE_OAUTH_TOKEN": "t" * 40, "TMPDIR": self.top}
        with Engine(self.socket, EVIL):
            child = pexpect.spawn(world_module.BOTTLE, list(args), env=env, cwd=self.work, dimensions=(50, 300), timeout=timeout, echo=False)
            try:
                child.send(b"n\nn\nn\n")
                ends = [pexpect.EOF, pexpect.TIMEOUT]
                ended = child.expect(ends) == 0  # a command that would retry for minutes has printed enough by now
                return child.before if ended else child.before[:child.before.rfind(b"\n") + 1]  # it may be printing a line
            finally:
                end(child)
                os.unlink(self.socket)


def shell(text):
    return "'" + text.replace("'", "'\\''") + "'"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    top = tmp_path_factory.mktemp("hostile")
    machine = Hostile(top)
    yield machine
    for pid, _ in processes_of(machine):  # reapers of VMs that do not exist
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(top, ignore_errors=True)


COMMANDS = [
    ("start", "a", "--dry-run"), ("start", "a", "--dry-run", "--json"), ("start", "a"), ("start", EVIL, "--yes"), ("start", EVIL, "--yes", "--json"), ("start",),
    ("start", "stranger", "--dry-run"), ("start", "built", "--dry-run"), ("start", "built", "--yes", "--headless", "-p", EVIL), ("start", "a", "--name", EVIL, "--yes"),
    ("start", "a", "--yes", "-C", EVIL), ("start", "a", "--image", EVIL, "--yes", "--headless", "-p", "x"), ("start", "a", "--runtime", EVIL, "--yes"),
    ("start", "a", "--remote", EVIL, "--yes"), ("start", "a", "--remote", "host.example", "--yes"), ("start", "a", "--vm", EVIL, "--yes"),
    ("start", "a", "--vm", "lab", "--yes", "--headless", "-p", "x"), ("start", "a", "--workspace", EVIL),
    ("attach",), ("attach", EVIL), ("attach", "s1"), ("stop", EVIL), ("stop", "s1"), ("stop", "--all"),
    ("allow", EVIL, EVIL), ("allow", "s1", "example.org", "--save"), ("allow", EVIL, "--bottle", EVIL, "--save"), ("deny", EVIL, EVIL), ("deny", "s1", EVIL),
    ("list",), ("list", "--json"), ("list", "--agents"), ("list", "--agents", "--json"),
    ("logs",), ("logs", EVIL), ("logs", "s1"), ("logs", "s1", "--json"), ("logs", "s1", "--egress"), ("logs", "s1", "--egress", "--json"), ("logs", EVIL, "--egress", "--denied"),
    ("diff", EVIL), ("diff", "s1"), ("apply", EVIL), ("apply", "s1"), ("discard", EVIL), ("scan", EVIL), ("scan", "bad.yaml"), ("scan", "bad.yaml", "--json"),
    ("cleanup", "--dry-run"), ("cleanup", "--dry-run", "--json"), ("cleanup",), ("cleanup", "--json"),
    ("remote", "check", EVIL), ("remote", "check", "host.example"), ("remote", "setup", "host.example", "--docker-script", EVIL),
    ("init",), ("init", "--print"), ("check",), ("check", "--json"), ("check", EVIL), ("check", "bad.yaml"), ("check", "bad.yaml", "--json"), ("check", "bad.md"),
    ("doctor",), ("doctor", "--json"),
    ("image", "list"), ("image", "list", "--json"), ("image", "prune"), ("image", "prune", "--json"), ("image", "build", EVIL), ("image", "build", "shell"),
    ("image", "build", "claude", "--package", EVIL), ("engine",), ("engine", EVIL),
    ("vm", "list"), ("vm", "list", "--json"), ("vm", "create", "lab"), ("vm", "create", EVIL), ("vm", "destroy", EVIL), ("vm", "destroy", "--all"), ("vm", "bake", "lab"),
    ("provider", "list"), ("provider", "list", "--json"), ("provider", "test", "other", "--no-ssh"), ("provider", "test", EVIL), ("provider", "test", "other", "--set", EVIL),
    ("guard", "run", "--listen", EVIL, "--config", EVIL), ("guard", "run", "--listen", "127.0.0.1:0", "--config", "bad.yaml"),
    ("audit", "verify", EVIL), ("audit", "verify", "./" + EVIL, "--json"), ("egress", "watch", EVIL), ("egress", "metrics", EVIL),
    ("egress", "test", EVIL), ("egress", "test", "https://a.example.org/" + EVIL, "--method", EVIL), ("egress", "test", "https://a.example.org/" + EVIL, "--json"),
    ("egress", "replay", EVIL), ("egress", "replay", "s1", "--agent", "a"), ("egress", "replay", "s1", "--agent", "a", "--json"), ("audit", "verify", "s1"), ("egress", "presets"), ("egress", "presets", EVIL),
    ("schema",), ("help",), ("help", EVIL), ("man", EVIL), ("completion", EVIL), ("completion", "bash"), (EVIL,), ("start", "--" + EVIL), ("list", "-" + EVIL),
    ("__complete", "start", ""), ("__complete", "logs", ""), ("__complete", "attach", ""), ("__complete", EVIL, ""), ("far", EVIL), ("supervise",),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command).replace(EVIL, "EVIL"))
def test_a_file_name_is_printed_as_one_harmless_line(hostile, command):
    hostile.write(os.path.join(hostile.work, "bad.yaml"), json.dumps({"bottles": {EVIL: {"egress": {EVIL: 1}}}, EVIL: EVIL}))
    hostile.write(os.path.join(hostile.work, "bad.md"), "---\nname: %s\nbottle: %s\n---\n" % (json.dumps(EVIL), json.dumps(EVIL)))
    shown = hostile.show(*command)
    if command[0] == "__complete":
        shown = shown.replace(b"\t", b" ")  # the characters at which shells split words
    assert_harmless(shown, command)


@pytest.mark.parametrize("manifest", [{EVIL: 1}, {"bottles": {EVIL: {}}}, {"agents": {"a": {EVIL: 1}}}, {"agents": {"a": {"bottle": EVIL}}},
                                      {"bottles": {"b": {"egress": {"allow": [EVIL]}}}}, {"bottles": {"b": {"secrets": {EVIL: {"from": EVIL}}}}},
                                      {"bottles": {"b": {"env": {EVIL: EVIL}}}}, {"vms": {EVIL: {"provider": EVIL}}}], ids=lambda m: json.dumps(m)[:40])
@pytest.mark.parametrize("command", [("check",), ("check", "--json"), ("list", "--agents"), ("start", "a", "--dry-run"), ("vm", "list"), ("image", "list")], ids=" ".join)
def test_a_key_of_the_manifest_is_printed_as_one_harmless_line(hostile, manifest, command):
    try:
        hostile.manifest(**manifest)
        assert_harmless(hostile.show(*command), (manifest, command))
    finally:
        hostile.manifest()


def test_every_command_is_in_the_table_of_hostile_names():
    """A new command needs a line in the table."""
    source = open(os.path.join(world_module.ROOT, "src", "app", "commands", "commands.cc")).read()
    names = re.findall(r"^  X\((\w+), ", source, re.M)
    assert len(names) > 15
    assert set(names) == {command[0] for command in COMMANDS if command[0] in names}, names


@pytest.mark.parametrize("mode", ["clone", "copy"])
def test_work_comes_home_from_a_directory_with_a_deceptive_name(operator, mode):
    """Checks the final report of a real session: directory, files, branches, hosts."""
    lying = os.path.join(operator.world.dir, mode + re.sub("[\n\r]", " ", EVIL))  # no session starts if the name contains line ends
    os.rename(operator.workspace, lying)
    if mode == "copy":
        shutil.rmtree(os.path.join(lying, ".git"))
    operator.workspace = lying
    script = r'''cd /workspace
evil="$(printf 'x\nFORGED\r\033[2J\302\233\342\200\256y')"
mkdir -p "$evil/.vscode"; echo x >"$evil/.vscode/tasks.json"; echo x >"$evil.envrc"; mkdir "d$evil"; echo x >"d$evil/.envrc"; ln -s "/etc/$evil" "link$evil"
git checkout -q -b "$(printf 'b\342\200\256\302\233x')"; git add -A; git -c user.name=a -c user.email=a@b.invalid commit -qm x
curl -sS -m 5 "https://forbidden$(printf '\302\233').example.net/" >/dev/null 2>&1
printf 'CONNECT %s:443 HTTP/1.1\r\nHost: a\r\n\r\n' "$(printf 'ev\033[2Jil\342\200\256.example')" | curl -s -m 5 telnet://guard:3128 >/dev/null 2>&1
exit 0'''.replace("FORGED", FORGED)
    command = operator.world.command("start", "a", "--yes", "--headless", "-p", '[ "$BOTTLE_TEST" = inside ] || exit 99\n' + script)
    child = pexpect.spawn(command[0], command[1:], env=operator.world.environment(operator.config(workspace=mode), operator.home), cwd=operator.workspace,
                          dimensions=(50, 300), timeout=180, echo=False)
    shown = child.read()
    child.close()
    text = assert_harmless(shown, mode)
    assert child.exitstatus == 0, text
    assert "Look at these before you run anything" in text and ".envrc" in text, text
    assert_harmless(operator.bottle("logs").stdout.encode().replace(b"\r\n", b"\n"), "logs")
