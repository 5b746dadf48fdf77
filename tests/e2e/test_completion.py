"""Tests Tab completion in bash, zsh and fish, if they are installed."""

import os
import shutil
import subprocess
import sys

import pexpect
import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "world"))
from world import BOTTLE  # noqa: E402

CONFIG = """
bottles: {b: {}}
agents: {reviewer: {bottle: b, provider: shell, description: Reads only}, renamer: {bottle: b, provider: shell}}
"""


@pytest.fixture
def home(tmp_path):
    """Makes a home with two agents, a finished session and bottle in the PATH."""
    (tmp_path / ".config" / "bottle").mkdir(parents=True)
    (tmp_path / ".config" / "bottle" / "bottle.yaml").write_text(CONFIG)
    (tmp_path / ".local" / "state" / "bottle" / "results" / "0badcafe").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "bottle").symlink_to(BOTTLE)
    (tmp_path / "some-folder").mkdir()
    (tmp_path / "some-file").write_text("")
    return tmp_path


def environment(home):
    return {"HOME": str(home), "PATH": "%s:%s" % (home / "bin", os.environ["PATH"]), "TERM": "dumb", "LANG": "C.UTF-8"}


def run(home, *argv):
    done = subprocess.run(argv, env=environment(home), cwd=home, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done
    return done.stdout.split("\n")[:-1]


def in_bash(home, *words):
    script = 'source <(bottle completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _bottle; printf "%s\\n" "${COMPREPLY[@]}"'
    return [line for line in run(home, "bash", "--norc", "-c", script, "bash", *words) if line]


def in_fish(home, *words):
    script = 'source (bottle completion fish | psub); complete -C "%s"' % " ".join(words)
    return [line.split("\t")[0] for line in run(home, "fish", "--no-config", "-c", script)]


def in_zsh(home, words, candidates):
    """Returns what zsh lists after Tab, once it has listed the candidates. zsh completes only in its line editor."""
    zsh = pexpect.spawn("zsh", ["-f", "-i"], env=environment(home), cwd=str(home), encoding="utf-8", dimensions=(50, 150), timeout=120)
    try:
        zsh.sendline("PS1='re''ady> '; autoload -Uz compinit && compinit -u -D; setopt no_beep; zstyle ':completion:*' list-prompt ''; "
                     "LISTMAX=1000; source <(bottle completion zsh)")
        zsh.expect("ready> ")
        zsh.send(" ".join(words) + "\t")
        listed = ""
        while not all(candidate in listed for candidate in candidates):
            zsh.expect(".+")
            listed += zsh.after
        # The line editor reads the next keys only when it has listed everything.
        zsh.send("\x15echo 'li''sted'\r")
        zsh.expect("\\slisted\\s")
        return listed + zsh.before
    finally:
        zsh.close(force=True)


CASES = [
    (["bottle", "st"], {"start", "stop"}),
    (["bottle", "start", "re"], {"reviewer", "renamer"}),
    (["bottle", "image", "p"], {"prune"}),
    (["bottle", "start", "--he"], {"--help", "--headless"}),
    (["bottle", "start", "--workspace", "c"], {"copy", "clone"}),
    (["bottle", "logs", "0"], {"0badcafe"}),
]


@pytest.mark.parametrize("words, candidates", CASES)
def test_bash(home, words, candidates):
    assert set(in_bash(home, *words)) == candidates


def test_bash_completes_files_and_directories_itself(home):
    assert in_bash(home, "bottle", "start", "-C", "some") == ["some-folder"]
    assert sorted(in_bash(home, "bottle", "guard", "run", "--config", "some")) == ["some-file", "some-folder"]
    assert in_bash(home, "bottle", "start", "--workspace", "=", "cl") == ["clone"]


def test_bash_takes_names_as_data(home):
    """A repository can define agents. The shell runs nothing in their names and descriptions."""
    agents = home / ".bottle" / "agents"
    agents.mkdir(parents=True)
    (agents / "x.md").write_text("---\nname: $(touch owned)\nbottle: b\n---\nx\n")
    in_bash(home, "bottle", "start", "")
    (agents / "x.md").write_text("---\nname: fine\nbottle: b\ndescription: $(touch owned)`touch owned`\n---\nx\n")
    assert "fine" in in_bash(home, "bottle", "start", "")
    assert not (home / "owned").exists()


@pytest.mark.skipif(not shutil.which("fish"), reason="no fish here")
@pytest.mark.parametrize("words, candidates", CASES)
def test_fish(home, words, candidates):
    assert set(in_fish(home, *words)) == candidates


@pytest.mark.skipif(not shutil.which("zsh"), reason="no zsh here")
@pytest.mark.parametrize("words, candidates", CASES)
def test_zsh(home, words, candidates):
    # The shell inserts the rest of a single candidate into the line.
    listed = in_zsh(home, words, candidates if len(candidates) > 1 else {candidate[len(words[-1]):] for candidate in candidates})
    assert "attach" not in listed or "attach" in candidates
