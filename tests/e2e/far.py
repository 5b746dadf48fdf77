"""What the tests of sessions on another machine share: starting them, and looking at both sides."""

import glob
import json
import os
import subprocess
import threading

from look import refs_of_work


def start(remote, far, script, *args, timeout=300, env=None, **config):
    return remote.start(script, "--remote", far.target, *args, env={**remote.extra_env, **(env or {})}, timeout=timeout, **config)


def background(remote, far, script, *args, env=None, target=None, **config):
    env = {**remote.world.environment(remote.config(**config), remote.home), **remote.extra_env, **(env or {})}
    return subprocess.Popen(remote.world.command("start", "a", "--yes", "--headless", "-p", '[ "$BOTTLE_TEST" = inside ] || exit 99\n' + script, "--remote",
                                                 target or far.target, *args), cwd=remote.workspace, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def remembered(remote):
    """Returns the file that describes the machine as bottle found it last time."""
    [path] = glob.glob(os.path.join(remote.home, ".cache", "bottle", "machines", "*"))
    return path


def remember_another(remote):
    """Changes the record of the machine, so that bottle finds the machine changed."""
    with open(remembered(remote)) as file:
        kept = json.load(file)
    kept["hello"]["uid"] = 7
    with open(remembered(remote), "w") as file:
        json.dump(kept, file)


def state_of(remote):
    sessions = json.loads(remote.bottle("list", "--json").stdout)
    return sessions[0]["state"] if sessions else None


def supervisor_of(remote):
    [session] = remote.sessions()
    with open(os.path.join(remote.world.state(remote.home), "sessions", session, "ledger")) as file:
        owners = [record["owner"] for record in map(json.loads, file) if "owner" in record]
    return session, int(owners[-1].split(":")[1])


def running(remote, until):
    assert until(lambda: state_of(remote) == "running", 120), remote.bottle("list").stdout


def agent_of(remote):
    """Returns the name of the agent's container."""
    [session] = remote.sessions()
    return "bottle-%s-agent" % session


def inside(remote, far, *command):
    """Runs a command in the agent's container. Returns whether it succeeded."""
    return far.run("docker", "-H", "unix://" + far.socket, "exec", agent_of(remote), *command, check=False).returncode == 0


class Lines:
    """Collects the lines of a process's output or errors as they arrive."""

    def __init__(self, process, stream=None):
        self.lines, self.stream = [], stream or process.stdout
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def _read(self):
        for line in self.stream:
            self.lines.append(line.strip())

    def count(self, text):
        return self.lines.count(text)

    def said(self, text):
        return any(text in line for line in self.lines)

    def all(self):
        """Returns everything, once the process has ended."""
        self.thread.join()
        return "\n".join(self.lines)


def worktree(remote, name):
    """Returns a file of the work that came home last and that no commit had."""
    refs = refs_of_work(remote)
    assert refs, "no work came home"
    return remote.git("show", refs[0] + ":" + name)


def restart_sshd(far, **options):
    far.stop_sshd()
    far.configure_sshd(**options)
    far.start_sshd()
