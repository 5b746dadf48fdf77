"""Finds the commands in messages and runs them as they are printed."""

import os
import re
import subprocess


def command_in(text, begins):
    """Returns the only printed command with this beginning. A command is in backquotes, or follows a colon and ends
    before the next part of the sentence."""
    found = set(re.findall("`(%s[^`]*)`" % begins, text) or re.findall(r": (%s[^;\n]*)" % begins, text))
    assert len(found) == 1, (begins, text)
    return found.pop()


def stand_in(operator, name, script):
    """Makes a program that takes the place of the real one. Returns a PATH with it."""
    directory = os.path.join(operator.home, "stand-ins")
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, name), "w") as file:
        file.write("#!/bin/sh\n" + script)
    os.chmod(file.name, 0o755)
    return directory + ":" + os.environ["PATH"]


def run_printed(operator, command, cwd=None, answers="", **env):
    """Runs the command in the operator's shell. It must succeed."""
    variables = {**operator.world.environment(home=operator.home), **env}
    done = subprocess.run(["sh", "-c", command], cwd=cwd or operator.workspace, env=variables, capture_output=True, text=True, input=answers)
    assert done.returncode == 0, (command, done)
    return done


def sudo_is_asked(operator, text, *words, **env):
    """Runs the printed sudo command with a stand-in, which prints its arguments."""
    path = stand_in(operator, "sudo", 'for word; do echo "$word"; done\n')
    assert run_printed(operator, command_in(text, "sudo"), PATH=path, **env).stdout.splitlines() == list(words), text
