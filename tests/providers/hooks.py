"""Runs a provider's hooks as `bottle` does (docs/providers.md)."""

import fcntl
import json
import os
import shutil
import subprocess
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
AGAIN, CANNOT, DENIED, NOT_SET_UP = 75, 73, 77, 78


class Answer:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    @property
    def json(self):
        assert self.status == 0, "exit status %d: %s" % (self.status, self.err)
        assert len(self.out.splitlines()) == 1, self.out
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value

    def __repr__(self):
        return "exit status %d\n--- out\n%s\n--- err\n%s" % (self.status, self.out, self.err)


class Vm:
    """One VM of one provider, and the environment of its hooks."""

    def __init__(self, provider, directory, name="bottle-x1", session="x1", env=None, folder=None, prefix=(), **options):
        self.prefix = list(prefix)  # the command that runs the hooks, such as one that creates a namespace
        self.folder = folder or os.path.join(ROOT, "providers", provider)
        self.name, self.id = name, ""
        directory = str(directory)
        self.state = os.path.join(directory, "state-" + name)
        os.makedirs(self.state, mode=0o700, exist_ok=True)
        self.user_data, key = os.path.join(directory, "user-data"), os.path.join(directory, "key.pub")
        self.write_user_data()
        with open(key, "w") as f:
            f.write("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE1vc3RseUhhcm1sZXNzU3RhbmRJbktleUZvclRlc3Rz test\n")
        self.env = {"PATH": "/usr/bin:/bin", "HOME": directory, "LANG": "C.UTF-8", "BOTTLE_VM_NAME": name, "BOTTLE_SESSION": session,
                    "BOTTLE_OWNER": "0a1b2c3d", "BOTTLE_VM_CPUS": "2", "BOTTLE_VM_MEMORY_MB": "4096", "BOTTLE_VM_DISK_GB": "20",
                    "BOTTLE_VM_TTL_SECONDS": "7200", "BOTTLE_VM_IDLE_SECONDS": "1800", "BOTTLE_USER_DATA": self.user_data,
                    "BOTTLE_SSH_PUBLIC_KEY": key, "BOTTLE_STATE_DIR": self.state, "BOTTLE_SSH_USER": "bottle", **(env or {})}
        for option, value in options.items():
            self.env["BOTTLE_OPT_" + option.upper()] = value

    def write_user_data(self):
        with open(self.user_data, "w") as f:
            f.write("#cloud-config\nusers: [{name: bottle}]\n# HOST-KEY-OF-THE-FIRST-MINUTE\n")

    def signed_in(self):
        """Simulates the first sign-in, after which the user-data is gone."""
        os.unlink(self.user_data)

    def start(self, hook, stdin=subprocess.DEVNULL, **env):
        """Starts the hook. Returns a Popen."""
        more = {key: str(value) for key, value in env.items()}
        return subprocess.Popen(self.prefix + [os.path.join(self.folder, hook)], env={**self.env, "BOTTLE_VM_ID": self.id, **more}, text=True,
                                stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/", start_new_session=True)

    def run(self, hook, timeout=300, **env):
        child = self.start(hook, **env)
        try:
            out, err = child.communicate(timeout=timeout)
        finally:
            if child.poll() is None:
                child.kill()
        return Answer(child.returncode, out, err)

    def create(self):
        self.id = self.run("create", timeout=600).json["id"]
        assert self.id
        return self.id

    def status(self):
        return self.run("status").json["status"]

    def machines(self):
        return self.run("list").json["machines"]

    def destroy(self, seconds=300):
        """Destroys the VM as bottle does, until `status` says gone. bottle has usually signed in before."""
        if os.path.exists(self.user_data):
            self.signed_in()
        try:
            self.destroy_until_gone(seconds)
        finally:
            self.write_user_data()

    def destroy_until_gone(self, seconds):
        until = time.time() + seconds
        while True:
            done = self.run("destroy")
            if done.status == 0 and self.status() == "gone":
                assert os.listdir(self.state) == [], "left in the state directory"
                return
            assert done.status in (0, AGAIN), done
            assert time.time() < until, done
            time.sleep(0.3)


class CommandState:
    """The state file of a stand-in in tests/standin/bin, read and changed under its lock."""

    def __init__(self, directory, things):
        self.path = os.path.join(str(directory), "cloud.json")
        with open(self.path, "w") as f:
            json.dump({"things": things, "faults": [], "log": []}, f)

    def read(self):
        with open(self.path) as f:
            fcntl.flock(f, fcntl.LOCK_SH)
            return json.load(f)

    @property
    def things(self):
        return self.read()["things"]

    def change(self, call):
        with open(self.path, "r+") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            state = json.load(f)
            call(state)
            f.seek(0)
            f.truncate()
            json.dump(state, f)

    def fail(self, of, err, status=1, **more):
        """Makes the next call of that subcommand fail in this way."""
        self.change(lambda state: state.update(faults=[{"of": of, "err": err, "status": status, **more}]))


def until(condition, seconds, step=0.05):
    end = time.time() + seconds
    while not condition():
        assert time.time() < end, "waited %d s for nothing" % seconds
        time.sleep(step)


def killed_at(vm, api, action):
    """Kills a create after its request has reached the cloud and before it is answered."""
    child = vm.start("create")
    try:
        until(lambda: api.calls(action) or child.poll() is not None, 120)
        assert child.poll() is None, child.communicate()
    finally:
        child.kill()
        child.communicate()


def have(command):
    return shutil.which(command, path="/usr/bin:/bin")
