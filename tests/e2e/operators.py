"""The operator who runs `bottle` in a test, with a home, a workspace and a manifest."""

import json
import os
import shutil
import subprocess
import tempfile
import time

import world as world_module


class Session:
    """The result of a `bottle start`."""

    def __init__(self, done, operator, since):
        self.status, self.out, self.err, self.since, self.operator = done.returncode, done.stdout, done.stderr, since, operator

    def audit(self):
        done = self.operator.bottle("logs", "--egress")
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines() if line.strip()]

    def denials(self, host):
        return [entry for entry in self.audit() if entry.get("action") == "deny" and entry.get("host") == host]

    def explain(self):
        return "exit status %s\n--- out\n%s\n--- err\n%s" % (self.status, self.out[-4000:], self.err[-4000:])


class Operator:
    def __init__(self, world, home):
        self.world, self.home, self.workspace = world, home, world.workspace()
        self.runtimes = os.path.join(world.state(home), "runtimes.json")  # which runtimes passed their trial
        if os.path.exists(world.path("runtimes.json")):
            os.makedirs(world.state(home), 0o700, exist_ok=True)
            shutil.copy(world.path("runtimes.json"), self.runtimes)

    def forget_trials(self):
        """Lets this operator begin without what others know of runtimes."""
        if os.path.exists(self.runtimes):
            os.unlink(self.runtimes)

    def keep_trials(self):
        """Lets later operators know the runtimes that this one knows, so that few tests try the engine's runtimes."""
        if os.path.exists(self.runtimes):
            shutil.copy(self.runtimes, self.world.path("runtimes.json"))

    def bottle(self, *args, **kwargs):
        kwargs.setdefault("cwd", self.workspace)
        return self.world.bottle(*args, home=self.home, **kwargs)

    def config(self, provider="shell", egress=None, runtime="runc", workspace="clone", env=None, secrets=None, **bottle):
        self.world.load_image(provider)
        rules = {"allow": ["allowed.example.org"], "extra_ca": [self.world.ca],
                 "hosts": {"api.anthropic.com": [world_module.API_IP + ":443"]}, **(egress or {})}
        bottle.update(runtime=runtime, workspace=workspace, egress=rules, env={"BOTTLE_TEST": "inside", **(env or {})})
        if secrets:
            bottle["secrets"] = secrets
        return {"bottles": {"b": bottle}, "agents": {"a": {"bottle": "b", "provider": provider}}}

    def start(self, script, *args, env=None, timeout=600, **config):
        """Runs a shell script, or a prompt with provider="claude", in a bottle, and waits for its end."""
        since = time.time()
        done = self.bottle("start", "a", "--yes", "--headless", "-p", guarded(script, config), *args, config=self.config(**config),
                           env=env, timeout=timeout)
        return Session(done, self, since)

    def background(self, script, *args, **config):
        """Does the same without waiting. Returns a Popen."""
        variables = config.pop("variables", {})  # of the launcher
        env = {**self.world.environment(self.config(**config), self.home), **variables}
        return subprocess.Popen(self.world.command("start", "a", "--yes", "--headless", "-p", guarded(script, config), *args),
                                cwd=self.workspace, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True)

    def sessions(self):
        path = os.path.join(self.world.state(self.home), "sessions")
        return sorted(n for n in os.listdir(path) if not n.startswith(".")) if os.path.isdir(path) else []

    def git(self, *args):
        return world_module.run("git", "-C", self.workspace, *args).stdout


def guarded(script, config):
    """Makes a script of probes do nothing unless it really runs in a test's bottle."""
    if config.get("provider", "shell") != "shell":
        return script
    return '[ "$BOTTLE_TEST" = inside ] || exit 99\n' + script


PATIENCE = 4  # a machine with ten times as many processes as processors is that much slower, or worse


def wait_for(condition, seconds, step=0.1):
    """Waits for a condition that holds within `seconds` on a machine with little else to do. A busy machine gets
    PATIENCE times as long. Returns whether the condition holds."""
    until = time.monotonic() + PATIENCE * seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(step)
    return bool(condition())


UID, OTHER = 4243, 4244


class Person(Operator):
    """The user at the machine: root, or a member of the engine's group."""

    def __init__(self, world, uid):
        self.uid = uid
        super().__init__(world, tempfile.mkdtemp(prefix="home-", dir=world.dir))
        self.program = os.path.join(world.dir, "bottle-for-all")
        if not os.path.exists(self.program):
            shutil.copy(world_module.BOTTLE, self.program)
            os.chmod(self.program, 0o755)

    def as_them(self, *argv):
        if self.uid == 0:
            return list(argv)
        return ["setpriv", "--reuid", str(self.uid), "--regid", str(self.uid), "--groups", "0", *argv]

    def bottle(self, *args, config=None, cwd=None, timeout=180, env=None):
        env = {**self.world.environment(config, self.home), **(env or {})}
        subprocess.run(["chown", "-R", "%d:%d" % (self.uid, self.uid), self.home], check=True)
        return subprocess.run(["nsenter", "--net=/run/netns/" + self.world.host_ns, "--", *self.as_them(self.program, *args)],
                              capture_output=True, text=True, cwd=cwd, env=env, timeout=timeout, stdin=subprocess.DEVNULL)

    def shell(self, command, cwd):
        return subprocess.run(self.as_them("timeout", "10", "sh", "-c", command), cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              env={**os.environ, "HOME": self.home, "GIT_TERMINAL_PROMPT": "0"})
