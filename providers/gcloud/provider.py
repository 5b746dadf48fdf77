"""Makes Compute Engine instances with the `gcloud` command. Each instance gets two firewall rules that admit only ssh
to it, whatever else the network admits. It has no service account and no scopes, and Google deletes it when it expires.

Firewall rules have no labels. Ours are recognized by their description, which contains the same three labels."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import hook  # noqa: E402
from hook import Failure, Stop  # noqa: E402

TYPES = [("e2-medium", 2, 4096), ("e2-standard-2", 2, 8192), ("e2-standard-4", 4, 16384), ("e2-standard-8", 8, 32768),
         ("e2-standard-16", 16, 65536)]
STATUS = {"PROVISIONING": "pending", "STAGING": "pending", "REPAIRING": "pending", "RUNNING": "running"}
RULES = [
    (hook.NOT_SET_UP, r"Specify the \[--zone\]|required property \[project\]|has not been used in project|it is disabled"),
    (hook.AGAIN, r"per.(minute|second|100 seconds)|rateLimitExceeded|RATE_LIMIT_EXCEEDED|resourceNotReady|is not ready|HTTPError 5\d\d"),
    (hook.DENIED, r"active account selected|auth tokens|Reauthentication|Required '[\w.]+' permission|HTTPError 40[13]"),
] + hook.RULES
GRACE = 600  # seconds by which Google's deletion comes after ours
INSTALL = "install the Google Cloud command-line tool and run: gcloud auth login"


def gcloud(*args, timeout=50):
    command = hook.tool("gcloud", INSTALL)
    argv = [command, "compute", *args, "--format=json", "--quiet"]
    if hook.option("project"):
        argv.append("--project=" + hook.option("project"))
    done = hook.run(argv, timeout=timeout, more_env={"CLOUDSDK_CORE_DISABLE_PROMPTS": "1", "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1"})
    if done.code == 0:
        return done.json() if done.out.strip() else []
    raise Failure(done.words())


def last(url):
    return url.rsplit("/", 1)[-1]


def described(rule):
    """Returns the labels of one of our firewall rules, or None."""
    found = re.fullmatch(r"bottle-session=(\S+) bottle-owner=(\S*) bottle-vm=(\S+)", rule.get("description", ""))
    return found and {hook.SESSION: found[1], hook.OWNER: found[2], hook.VM: found[3]}


def labels_of(thing):
    return thing.get("labels", {})


class Gcloud:
    judged_by = RULES

    @staticmethod
    def place():
        project = hook.option("project") or os.environ.get("CLOUDSDK_CORE_PROJECT", "")
        if not project:
            done = hook.run([hook.tool("gcloud", INSTALL), "config", "get-value", "project"])
            project = done.out.strip()
        return {"project": project} if project else {}

    # ---- the existing things, whoever made them. An id is ZONE/NAME; that of a disk is disk/ZONE/NAME, and that of a rule is rule/NAME.

    @staticmethod
    def instances(name=""):
        wanted = "labels.%s=%s" % (hook.VM, name) if name else "labels.%s:*" % hook.SESSION
        return [i for i in gcloud("instances", "list", "--filter=" + wanted) if hook.SESSION in labels_of(i)]

    @staticmethod
    def disks(name=""):
        wanted = "labels.%s=%s" % (hook.VM, name) if name else "labels.%s:*" % hook.SESSION
        return [d for d in gcloud("disks", "list", "--filter=" + wanted) if hook.SESSION in labels_of(d)]

    @staticmethod
    def rules(name=""):
        found = gcloud("firewall-rules", "list", "--filter=description~^%s=" % hook.SESSION)
        return [r for r in found if described(r) and name in ("", described(r)[hook.VM])]

    def find(self):
        """Returns the instances, disks and rules of this VM: by its name or, if that is unknown, by the id. Returns
        only our own."""
        machines, disks, rules = self.find_of_all()
        return hook.only_ours(machines, labels_of), hook.only_ours(disks, labels_of), hook.only_ours(rules, described)

    def find_of_all(self):
        name, vm_id = hook.known_name(), hook.known_id()
        if name:
            return hook.together(lambda: self.instances(name), lambda: self.disks(name), lambda: self.rules(name))
        kind, _, key = vm_id.partition("/")
        if kind not in ("disk", "rule"):
            kind, key = "instance", vm_id
        found = {"instance": self.instances, "disk": self.disks, "rule": self.rules}[kind]()
        found = [thing for thing in found if key == (thing["name"] if kind == "rule" else self.key(thing))]
        return [found if kind == k else [] for k in ("instance", "disk", "rule")]

    @staticmethod
    def key(thing):
        return "%s/%s" % (last(thing["zone"]), thing["name"])

    def status(self):
        machines, disks, rules = self.find()
        if machines:
            return {"status": STATUS.get(machines[0]["status"], "stopped")}
        if disks or rules:
            return {"status": "deleting"}
        hook.check_nothing_in_flight()
        return {"status": "gone"}

    # ---- create

    def create(self):
        name = hook.name()
        there = self.instances(name)
        hook.check_free(there, labels_of)
        if not there:
            network = hook.option("network", "default")
            ssh_from = hook.option("ssh-from", "0.0.0.0/0")
            hook.together(  # before the instance, which must not be open even for a moment
                lambda: self.rule(name + "-ssh", network, ["--allow=tcp:22", "--priority=900", "--source-ranges=" + ssh_from]),
                lambda: self.rule(name + "-deny", network, ["--action=DENY", "--rules=all", "--priority=901", "--source-ranges=0.0.0.0/0"]))
            hook.unless(r"already exists", lambda: self.make(name, network))
            there = hook.only_ours(self.instances(name), labels_of)
        if not there:
            raise Stop(hook.FAILED, "there is already an instance %s, and bottle did not make it for this owner" % name)
        for disk in there[0].get("disks", []):  # a disk does not get the labels of its instance
            if disk.get("boot") and disk.get("source"):
                gcloud("disks", "add-labels", last(disk["source"]), "--zone=" + last(there[0]["zone"]), "--labels=" + self.labels())
        return {"id": self.key(there[0])}

    @staticmethod
    def labels():
        return ",".join("%s=%s" % pair for pair in hook.labels().items())

    def rule(self, name, network, args):
        labels = hook.labels()
        words = "%s=%s %s=%s %s=%s" % (hook.SESSION, labels[hook.SESSION], hook.OWNER, labels[hook.OWNER], hook.VM, labels[hook.VM])
        made = hook.unless(r"already exists", lambda: gcloud("firewall-rules", "create", name, "--network=" + network, "--direction=INGRESS",
                                                             "--target-tags=" + hook.name(), "--description=" + words, *args, timeout=120) or True)
        if not made and name not in [rule["name"] for rule in hook.only_ours(self.rules(hook.name()), described)]:
            raise Stop(hook.FAILED, "there is already a firewall rule %s, and bottle did not make it for this owner" % name)

    def make(self, name, network):
        args = ["--machine-type=" + self.type(), "--labels=" + self.labels(), "--tags=" + name, "--network=" + network,
                "--no-service-account", "--no-scopes", "--metadata-from-file=user-data=" + hook.env("BOTTLE_USER_DATA"),
                "--metadata=block-project-ssh-keys=TRUE,enable-oslogin=FALSE,serial-port-enable=FALSE", "--no-restart-on-failure",
                "--boot-disk-auto-delete"]
        # Google's Ubuntu images have cloud-init; its Debian images do not.
        image = hook.option("image")
        args += ["--image=" + image] if image else ["--image-family=" + hook.option("image-family", "ubuntu-2404-lts-amd64")]
        args += ["--image-project=" + hook.option("image-project", "ubuntu-os-cloud")]
        if hook.option("zone"):
            args.append("--zone=" + hook.option("zone"))
        if hook.option("subnet"):
            args.append("--subnet=" + hook.option("subnet"))
        if hook.option("address") == "private":
            args.append("--no-address")
        if hook.number("BOTTLE_VM_DISK_GB"):
            args.append("--boot-disk-size=%dGB" % max(10, hook.number("BOTTLE_VM_DISK_GB")))
        if hook.number("BOTTLE_VM_TTL_SECONDS"):
            args += ["--max-run-duration=%ds" % (hook.number("BOTTLE_VM_TTL_SECONDS") + GRACE), "--instance-termination-action=DELETE"]
        return gcloud("instances", "create", name, *args, timeout=400)

    @staticmethod
    def type():
        if hook.option("type"):
            return hook.option("type")
        cpus, memory = hook.number("BOTTLE_VM_CPUS"), hook.number("BOTTLE_VM_MEMORY_MB") or 4096
        for name, has_cpus, has_memory in TYPES:
            if has_cpus >= cpus and has_memory >= memory:
                return name
        raise Stop(hook.NOT_SET_UP, "no default type has %d CPUs and %d MB; set options.type in the manifest" % (cpus, memory))

    # ---- the rest

    def ssh_info(self):
        machines = hook.only_ours(self.instances(hook.name()), labels_of)
        if not machines or machines[0]["status"] != "RUNNING":
            raise Stop(hook.AGAIN, "the instance is not running yet")
        card = machines[0]["networkInterfaces"][0]
        host = card["networkIP"] if hook.option("address") == "private" else (card.get("accessConfigs") or [{}])[0].get("natIP", "")
        if not host:
            raise Stop(hook.AGAIN, "the instance does not have an address yet")
        return {"host": host, "port": 22, "user": hook.user()}

    def destroy(self):
        machines, disks, rules = self.find()
        for machine in machines:
            hook.found_here()
            # The command waits for the deletion. If that takes longer than the hook may, the deletion continues without
            # it.
            try:
                hook.unless(r"was not found", lambda: gcloud("instances", "delete", machine["name"], "--zone=" + last(machine["zone"]),
                                                        "--delete-disks=all", timeout=hook.patience()))
            except Stop as stop:
                if stop.status == hook.AGAIN:
                    return {"status": "deleting"}
                raise
        if machines:
            machines, disks, rules = self.find()
        if machines or hook.elapsed() > 40:  # the rest takes Google about ten more seconds, so the next call does it
            return {"status": "deleting"}
        hook.together(
            *[lambda rule=rule: hook.unless(r"was not found", lambda: gcloud("firewall-rules", "delete", rule["name"])) for rule in rules],
            *[lambda disk=disk: hook.unless(r"was not found", lambda: gcloud("disks", "delete", disk["name"], "--zone=" + last(disk["zone"]))) for disk in disks])
        return hook.gone()

    def list_(self):
        machines, disks, rules = hook.together(self.instances, self.disks, self.rules)
        made = lambda thing: thing.get("creationTimestamp")  # noqa: E731
        vms = [hook.line(self.key(m), "vm", STATUS.get(m["status"], "stopped"), m["labels"], made(m)) for m in machines]
        things = [hook.line("disk/" + self.key(d), "volume", "running", d["labels"], made(d)) for d in disks]
        things += [hook.line("rule/" + r["name"], "firewall", "running", described(r), made(r)) for r in rules]
        return hook.leftovers(vms, things)


if __name__ == "__main__":
    hook.main(Gcloud)
