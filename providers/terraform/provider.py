"""Uses any Terraform or OpenTofu module with the outputs id, host and user (and port, status and cost_per_hour if it
has them). Before anything is made, the module is copied to the VM's state directory, and its state is kept there, so
that the same code that made the resources can destroy them. Terraform continues to run when a hook's time is over;
the next call waits for it, under a lock."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import hook  # noqa: E402
from hook import Failure, Stop  # noqa: E402

LOCK = 9  # a shell closes only descriptors with one digit
# The shell holds the lock as long as terraform runs. Processes that terraform leaves in the background do not hold it.
UNDER_LOCK = '"$@" 9<&-; exit $?'
NEEDED = ("id", "host", "user")


def tool():
    wanted = hook.option("command") or ("terraform" if shutil.which("terraform") else "tofu")
    return hook.tool(os.path.expanduser(wanted), "install Terraform or OpenTofu, or set options.command")


def registry():
    """Keeps one file for each VM of which Terraform may still hold something. `list` uses these files, because
    Terraform has no labels."""
    base = os.environ.get("XDG_STATE_HOME", "")
    if not base.startswith("/"):  # the XDG Base Directory Specification: ignore a relative path
        base = os.path.join(hook.env("HOME"), ".local", "state")
    return os.path.join(base, "bottle", "terraform")


def records():
    found = []
    for file in sorted(os.listdir(registry())) if os.path.isdir(registry()) else []:
        if file.endswith(".json"):
            with open(os.path.join(registry(), file), encoding="utf-8") as f:
                found.append(json.load(f))
    return found


def labels_of(record):
    return {hook.SESSION: record["session"], hook.OWNER: record["owner"], hook.VM: record["name"]}


class Terraform:
    def __init__(self):
        all_of_them = records()
        known = hook.only_ours(all_of_them, labels_of)
        self.record = next((r for r in known if r["name"] == hook.known_name()), None) or next(
            (r for r in known if not hook.known_name() and hook.known_id() in (r["name"], r.get("id"))), None)
        self.name = self.record["name"] if self.record else hook.known_name()
        directory = self.record["state_dir"] if self.record else os.environ.get("BOTTLE_STATE_DIR", "")
        if not self.record and directory in [r["state_dir"] for r in all_of_them]:
            directory = ""  # it has the state of another owner's VM
        self.home = os.path.join(directory, "terraform") if directory else ""

    def path(self, name):
        return os.path.join(self.home, name)

    # ---- running Terraform

    def lock(self, seconds):
        """Returns the lock that a running terraform holds, or None. The shell around each terraform process inherits
        it."""
        descriptor = os.open(self.path("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        until = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return os.dup2(descriptor, LOCK, inheritable=False)
            except BlockingIOError:
                if time.monotonic() >= until:
                    os.close(descriptor)
                    return None
                time.sleep(0.2)

    def run(self, lock, *args, seconds):
        """Returns Terraform's stdout, or None if it has not ended after this number of seconds. It then continues,
        and still holds the lock."""
        variables = {"TF_DATA_DIR": self.path("data"), "TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "TF_CLI_ARGS": "", "TF_WORKSPACE": "",
                     "CHECKPOINT_DISABLE": "1"}
        with open(self.path("module.json"), encoding="utf-8") as f:
            variables.update(json.load(f))
        # bottle removes the user-data once it has signed in, but every plan, also one that destroys, evaluates what
        # reads it.
        if not os.path.exists(variables["TF_VAR_bottle_user_data_file"]):
            variables["TF_VAR_bottle_user_data_file"] = self.path("user-data")
            with open(self.path("user-data"), "w", encoding="ascii") as f:
                f.write("#cloud-config\n{}\n")
        with open(self.path("out"), "wb") as out, open(self.path("err"), "wb") as err:
            child = subprocess.Popen(["/bin/sh", "-c", UNDER_LOCK, "sh", tool(), "-chdir=" + self.path("module"), *args], stdin=subprocess.DEVNULL,
                                     stdout=out, stderr=err, env={**os.environ, **variables}, start_new_session=True, pass_fds=[lock])
        try:
            code = child.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None
        with open(self.path("out"), encoding="utf-8", errors="replace") as f:
            out = f.read()
        if code != 0:
            with open(self.path("err"), encoding="utf-8", errors="replace") as f:
                raise Failure((f.read().strip() or out.strip())[-3000:])
        return out

    def state(self):
        return "-state=" + self.path("terraform.tfstate")

    def resources(self, lock, seconds=20):
        """Returns the managed resources in the state, without data sources."""
        if not os.path.exists(self.path("terraform.tfstate")):
            return []
        out = self.run(lock, "state", "list", self.state(), seconds=seconds)
        if out is None:
            raise Stop(hook.AGAIN, "terraform state list did not end within %d s" % seconds)
        return [line for line in out.splitlines() if line.strip() and not re.search(r"(^|\.)data\.", line)]

    def outputs(self, lock):
        values = json.loads(self.run(lock, "output", "-json", self.state(), seconds=20) or "{}")
        return {key: value["value"] for key, value in values.items()}

    # ---- the hooks

    def create(self):
        self.prepare()
        lock = self.lock(500)
        if lock is None:
            raise Stop(hook.AGAIN, "an earlier terraform still runs for this VM")
        if self.run(lock, "init", "-input=false", "-no-color", seconds=280) is None:
            raise Stop(hook.AGAIN, "terraform init did not end within 280 s")
        if self.run(lock, "apply", "-auto-approve", "-input=false", "-no-color", self.state(), seconds=540) is None:
            raise Stop(hook.AGAIN, "terraform apply has not ended yet")
        found = self.outputs(lock)
        missing = [key for key in NEEDED if not found.get(key)]
        if missing:
            raise Stop(hook.NOT_SET_UP, "the module does not have the output %s; it needs id, host and user" % ", ".join(missing))
        write(os.path.join(registry(), self.name + ".json"), {**self.record, "id": str(found["id"])})
        return {"id": str(found["id"]), **({"cost_per_hour": str(found["cost_per_hour"])} if found.get("cost_per_hour") else {})}

    def prepare(self):
        """Writes to disk everything that destroying the VM will need, before anything is made."""
        tool()
        hook.check_free([r for r in records() if r["name"] == hook.name()], labels_of)
        module = os.path.expanduser(hook.need_option("module", "the folder of a Terraform module with the outputs id, host and user"))
        if not os.path.isabs(module) or not os.path.isdir(module):
            raise Stop(hook.NOT_SET_UP, "options.module must be the absolute path of an existing directory, not %r" % module)
        self.home = os.path.join(hook.env("BOTTLE_STATE_DIR"), "terraform")
        os.makedirs(self.home, mode=0o700, exist_ok=True)
        if not os.path.isdir(self.path("module")):
            shutil.rmtree(self.path("module.new"), ignore_errors=True)
            shutil.copytree(module, self.path("module.new"), symlinks=False, ignore=shutil.ignore_patterns(".terraform", "*.tfstate*", ".git"))
            # The state is kept here, whatever the module says: an override file takes precedence over the module's own
            # backend.
            with open(os.path.join(self.path("module.new"), "bottle_override.tf"), "w", encoding="ascii") as f:
                f.write('terraform {\n  backend "local" {}\n}\n')
            os.rename(self.path("module.new"), self.path("module"))
        given = {"name": hook.name(), "session": hook.env("BOTTLE_SESSION"), "owner": hook.env("BOTTLE_OWNER"),
                 "cpus": hook.number("BOTTLE_VM_CPUS"), "memory_mb": hook.number("BOTTLE_VM_MEMORY_MB"), "disk_gb": hook.number("BOTTLE_VM_DISK_GB"),
                 "ttl_seconds": hook.number("BOTTLE_VM_TTL_SECONDS"), "user_data_file": hook.env("BOTTLE_USER_DATA"),
                 "ssh_public_key": hook.public_key(), "ssh_user": hook.user()}
        variables = {"TF_VAR_bottle_" + key: str(value) for key, value in given.items()}
        variables.update({"TF_VAR_" + key[len("BOTTLE_OPT_VAR_"):].lower(): value for key, value in os.environ.items() if key.startswith("BOTTLE_OPT_VAR_")})
        write(self.path("module.json"), variables)
        os.makedirs(registry(), mode=0o700, exist_ok=True)
        self.record = {"name": hook.name(), "session": given["session"], "owner": given["owner"], "state_dir": hook.env("BOTTLE_STATE_DIR"),
                       "created": (self.record or {}).get("created") or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        write(os.path.join(registry(), hook.name() + ".json"), self.record)

    def made(self):
        return bool(self.home) and os.path.exists(self.path("module.json"))

    def status(self):
        if not self.made():
            return {"status": "gone"}
        lock = self.lock(0)
        if lock is None:
            return {"status": "pending"}
        if not self.resources(lock):
            return {"status": "gone"}
        # Asks the cloud, and removes from the state what no longer exists there.
        if self.run(lock, "apply", "-refresh-only", "-auto-approve", "-input=false", "-no-color", self.state(), seconds=50) is None:
            raise Stop(hook.AGAIN, "terraform's refresh has not ended yet")
        if not self.resources(lock):
            return {"status": "gone"}
        found = self.outputs(lock)
        status = found.get("status", "running" if found.get("host") else "stopped")
        return {"status": status if status in ("pending", "running", "stopped", "deleting") else "running"}

    def ssh_info(self):
        lock = self.lock(20) if self.made() else None
        found = self.outputs(lock) if lock is not None and os.path.exists(self.path("terraform.tfstate")) else {}
        if not found.get("host"):
            raise Stop(hook.AGAIN, "the module does not have the output `host` yet")
        return {"host": str(found["host"]), "port": int(found.get("port") or 22), "user": str(found["user"])}

    def destroy(self):
        if not self.made():
            if not self.record:
                return {"status": "gone"}
            if os.path.isdir(self.record["state_dir"]):  # recorded, but nothing has begun
                return self.forget()
            raise Stop(hook.FAILED, "%s is lost; destroy by hand what Terraform made for %s" % (self.record["state_dir"], self.name))
        lock = self.lock(hook.patience())
        if lock is None:
            return {"status": "deleting"}
        if self.resources(lock):
            if self.run(lock, "destroy", "-auto-approve", "-input=false", "-no-color", self.state(), seconds=hook.patience()) is None:
                return {"status": "deleting"}
        if self.resources(lock):
            return {"status": "deleting"}
        return self.forget()

    def forget(self):
        """Removes the code and the state, because nothing is left, and then their record."""
        if self.home:
            shutil.rmtree(self.home, ignore_errors=True)
        try:
            os.unlink(os.path.join(registry(), self.name + ".json"))
        except FileNotFoundError:
            pass
        return {"status": "gone"}

    @staticmethod
    def list_():
        machines = [{"id": record.get("id") or record["name"], "kind": "vm", "status": "running" if os.path.isdir(record["state_dir"]) else "stopped",
                     **{key: record[key] for key in ("name", "session", "owner", "created")}} for record in records()]
        return {"machines": machines}


def write(path, value):
    with open(path + ".new", "w", encoding="utf-8", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
        json.dump(value, f)
        f.flush()
        os.fsync(f.fileno())  # a machine that loses power may otherwise leave an empty file, and a VM that nothing names
    os.rename(path + ".new", path)


if __name__ == "__main__":
    hook.main(Terraform)
