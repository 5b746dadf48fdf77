"""Makes Linodes with `linode-cli`. Each Linode gets a Cloud Firewall that admits only ssh. Labels are tags of the
form key:value."""

import base64
import configparser
import hashlib
import json
import os
import re
import secrets
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import hook  # noqa: E402
from hook import Failure, Stop  # noqa: E402

TYPES = [("g6-standard-1", 1, 2048, 50), ("g6-standard-2", 2, 4096, 80), ("g6-standard-4", 4, 8192, 160), ("g6-standard-6", 6, 16384, 320),
         ("g6-standard-8", 8, 32768, 640)]
STATUS = {"provisioning": "pending", "booting": "pending", "rebooting": "pending", "cloning": "pending", "restoring": "pending",
          "migrating": "pending", "rebuilding": "pending", "busy": "pending", "running": "running", "deleting": "deleting"}
RULES = [
    (hook.CANNOT, r"limit.{0,40}(reached|exceeded)|account limit|contact support|no capacity|not.{0,10}available in.{0,20}region|at capacity"),
    (hook.AGAIN, r"Request failed: (408|429|5\d\d)|\bbusy\b"),
    (hook.DENIED, r"Request failed: 40[13]|Personal Access Token|invalid.{0,8}token"),
] + hook.RULES

# linode-cli takes user-data only from its arguments, which all users of this machine can read. So the arguments are
# sent on stdin to the same interpreter that would run linode-cli.
STDIN_ARGUMENTS = """import json, os, runpy, sys
sys.argv = json.load(sys.stdin)
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
runpy.run_path(sys.argv[0], run_name="__main__")"""


def linode(*args, timeout=50, more_env=None):
    command = hook.tool("linode-cli", "install it (pipx install linode-cli) and run: linode-cli configure")
    with open(command, "rb") as f:
        first = f.readline().decode(errors="replace").strip()
    interpreter = first[2:].split() if re.match(r"#!\S*(python\S*|env python\S*)$", first) else None
    if not interpreter:
        raise Stop(hook.NOT_SET_UP, "%s is not a Python script, so this provider cannot pass secrets to it safely; install it with pipx" % command)
    argv = [command, *args, "--json", "--suppress-warnings"]
    done = hook.run([*interpreter, "-c", STDIN_ARGUMENTS], stdin=json.dumps(argv).encode(), timeout=timeout, more_env=more_env)
    if done.code == 0:
        return done.json() if done.out.strip() else []
    raise Failure(done.words())


def labels_of(thing):
    """Turns bottle-session:x into {"bottle-session": "x"}."""
    return dict(tag.split(":", 1) for tag in thing.get("tags", []) if re.match(r"bottle-(session|owner|vm):", tag))


def tag_flags():
    return [flag for pair in hook.labels().items() for flag in ("--tags", "%s:%s" % pair)]


def listed(kind, name=""):
    """Returns the things of bottle, whoever made them."""
    found = [thing for thing in linode(kind, "list", "--all-rows", "--all-columns") if hook.SESSION in labels_of(thing)]
    return [thing for thing in found if name in ("", labels_of(thing).get(hook.VM))]


def ours(kind, name=""):
    return hook.only_ours(listed(kind, name), labels_of)


class Linode:
    judged_by = RULES

    @staticmethod
    def place():
        """The name of the account would need a permission that a token for Linodes alone does not have."""
        token = os.environ.get("LINODE_CLI_TOKEN", "")
        if token:
            return {"token": hook.fingerprint(token)}
        home = os.path.expanduser("~")
        config = configparser.ConfigParser(interpolation=None)
        config.read([os.environ.get("LINODE_CLI_CONFIG") or os.path.join(home, ".linode-cli")])
        if not config.sections() and not config.defaults():
            config.read([os.path.join(os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config"), "linode-cli")])
        user = config.defaults().get("default-user", "")
        return {"user": user} if user else {}

    def find(self):
        """Returns the Linodes and firewalls of this VM. The id of a firewall is firewall/ID."""
        name, vm_id = hook.known_name(), hook.known_id()
        machines, firewalls = hook.together(lambda: ours("linodes"), lambda: ours("firewalls"))
        mine = lambda thing, key: vm_id == key or (name and labels_of(thing).get(hook.VM) == name)  # noqa: E731
        return [m for m in machines if mine(m, str(m["id"]))], [f for f in firewalls if mine(f, "firewall/%s" % f["id"])]

    def status(self):
        machines, firewalls = self.find()
        if machines:
            return {"status": STATUS.get(machines[0]["status"], "stopped")}
        if firewalls:
            return {"status": "deleting"}
        hook.check_nothing_in_flight()
        return {"status": "gone"}

    def create(self):
        name = hook.name()
        there = listed("linodes", name)
        hook.check_free(there, labels_of)
        if not there:
            region = hook.need_option("region", "a Linode region with the Metadata service, such as nl-ams")
            firewall = self.firewall(name)
            with open(hook.env("BOTTLE_USER_DATA"), "rb") as f:
                user_data = base64.b64encode(f.read()).decode()
            # Linode requires a root password. This one is random and is not kept.
            hook.unless(r"must be unique", lambda: linode(
                "linodes", "create", "--label", name, "--region", region, "--type", self.type(), "--image", hook.option("image", "linode/debian12"),
                "--authorized_keys", hook.public_key(), "--metadata.user_data", user_data, "--firewall_id", str(firewall), "--booted", "true",
                "--root_pass", *tag_flags(), timeout=120, more_env={"LINODE_CLI_ROOT_PASS": secrets.token_urlsafe(32) + "aA1!"}))
            there = ours("linodes", name)
        if not there:
            raise Stop(hook.FAILED, "there is already a Linode %s, and bottle did not make it for this owner" % name)
        return {"id": str(there[0]["id"])}

    @staticmethod
    def firewall(name):
        there = ours("firewalls", name)
        if there:
            return there[0]["id"]
        ssh_from = hook.option("ssh-from", "0.0.0.0/0 ::/0").split()
        rule = {"label": "ssh", "action": "ACCEPT", "protocol": "TCP", "ports": "22", "addresses": {
            "ipv4": [a for a in ssh_from if ":" not in a], "ipv6": [a for a in ssh_from if ":" in a]}}
        label = "bottle-" + hashlib.sha256(name.encode()).hexdigest()[:16]  # at most 32 characters
        made = hook.unless(r"must be unique", lambda: linode(
            "firewalls", "create", "--label", label, "--rules.inbound", json.dumps([rule]), "--rules.inbound_policy", "DROP",
            "--rules.outbound_policy", "ACCEPT", *tag_flags()))
        there = made or ours("firewalls", name)
        if not there:
            raise Stop(hook.FAILED, "there is already a firewall %s, and bottle did not make it for this owner" % label)
        return there[0]["id"]

    @staticmethod
    def type():
        if hook.option("type"):
            return hook.option("type")
        cpus, memory, disk = hook.number("BOTTLE_VM_CPUS"), hook.number("BOTTLE_VM_MEMORY_MB") or 4096, hook.number("BOTTLE_VM_DISK_GB")
        for name, has_cpus, has_memory, has_disk in TYPES:
            if has_cpus >= cpus and has_memory >= memory and has_disk >= disk:
                return name
        raise Stop(hook.NOT_SET_UP, "no default type has %d CPUs, %d MB and %d GB; set options.type in the manifest" % (cpus, memory, disk))

    def ssh_info(self):
        machines = ours("linodes", hook.name())
        if not machines or machines[0]["status"] != "running":
            raise Stop(hook.AGAIN, "the Linode is not running yet")
        addresses = machines[0]["ipv4"]
        addresses = addresses if isinstance(addresses, list) else addresses.split()  # old versions join them
        public = [a for a in addresses if not re.match(r"(10|192\.168)\.", a)]
        return {"host": public[0], "port": 22, "user": hook.user()}

    def destroy(self):
        machines, firewalls = self.find()
        for machine in machines:
            hook.found_here()
            hook.unless(r"failed: 404|not found", lambda: linode("linodes", "delete", str(machine["id"])))
        if machines and not hook.wait_for(lambda: not self.find()[0], hook.patience()):
            return {"status": "deleting"}
        for firewall in firewalls:
            hook.unless(r"failed: 404|not found", lambda: linode("firewalls", "delete", str(firewall["id"])))
        return hook.gone()

    def list_(self):
        machines, firewalls = hook.together(lambda: listed("linodes"), lambda: listed("firewalls"))
        return hook.leftovers([hook.line(str(m["id"]), "vm", STATUS.get(m["status"], "stopped"), labels_of(m), m.get("created")) for m in machines],
                              [hook.line("firewall/%s" % f["id"], "firewall", "running", labels_of(f), f.get("created")) for f in firewalls])


if __name__ == "__main__":
    hook.main(Linode)
