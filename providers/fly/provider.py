"""Makes Fly Machines with the `fly` command, in an app of the operator. A machine is a virtual machine that is made
from a container image. The image must do what cloud-init does at other providers; see docs/providers.md. This provider
makes nothing else. A machine removes itself when it stops (--rm)."""

import base64
import os
import re
import shutil
import sys
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import hook  # noqa: E402
from hook import Failure, Stop  # noqa: E402

STATUS = {"created": "pending", "starting": "pending", "started": "running", "replacing": "pending", "destroying": "deleting"}
SEED = "/var/lib/cloud/seed/nocloud/"
PORT = "bottle-port"
RULES = [
    (hook.CANNOT, r"insufficient resources|could not reserve|no capacity|limit of \d+ machines|machine limit|billing|payment"),
    (hook.DENIED, r"no access token|not logged in|fly auth login|unauthorized"),
] + hook.RULES


def fly(*args, timeout=50):
    command = hook.tool("fly" if shutil.which("fly") else "flyctl", "install flyctl and run: fly auth login")
    done = hook.run([command, *args, "--app", hook.need_option("app", "the Fly app that the machines are made in")], timeout=timeout,
                    more_env={"FLY_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"})
    if done.code == 0:
        return done
    raise Failure(done.words())


def labels_of(machine):
    return (machine.get("config") or {}).get("metadata") or {}


def machines(name=""):
    """Returns the machines of bottle that are not destroyed, whoever made them."""
    found = [m for m in fly("machine", "list", "--json").json() or [] if hook.SESSION in labels_of(m) and m["state"] != "destroyed"]
    return [m for m in found if name in ("", labels_of(m).get(hook.VM))]


class Fly:
    judged_by = RULES

    def find(self):
        name, vm_id = hook.known_name(), hook.known_id()
        return [m for m in hook.only_ours(machines(), labels_of) if m["id"] == vm_id or (name and labels_of(m).get(hook.VM) == name)]

    def status(self):
        found = self.find()
        if found:
            return {"status": STATUS.get(found[0]["state"], "stopped")}
        hook.check_nothing_in_flight()
        return {"status": "gone"}

    def create(self):
        name = hook.name()
        image = hook.need_option("image", "an image with cloud-init, sshd and dockerd; see docs/providers.md")
        known = machines()
        there = [m for m in known if labels_of(m).get(hook.VM) == name]
        hook.check_free(there, labels_of)
        if not there:
            meta = base64.b64encode(("instance-id: %s\n" % name).encode()).decode()
            args = ["--name", name, "--rm", "--restart", "no", "--detach", "--autostop=off", "--autostart=false", "--skip-dns-registration",
                    "--vm-cpu-kind", hook.option("cpu-kind", "shared"), "--vm-cpus", str(hook.number("BOTTLE_VM_CPUS") or 2),
                    "--vm-memory", str(hook.number("BOTTLE_VM_MEMORY_MB") or 4096),
                    "--file-local", "%suser-data=%s" % (SEED, hook.env("BOTTLE_USER_DATA")), "--file-literal", "%smeta-data=%s" % (SEED, meta)]
            for pair in hook.labels().items():
                args += ["--metadata", "%s=%s" % pair]
            if hook.option("address") != "private":
                port = self.free_port(name, known)
                args += ["--port", "%d:22/tcp" % port, "--metadata", "%s=%d" % (PORT, port)]
            if hook.number("BOTTLE_VM_DISK_GB"):
                args += ["--rootfs-size", str(hook.number("BOTTLE_VM_DISK_GB"))]
            if hook.option("region"):
                args += ["--region", hook.option("region")]
            try:
                fly("machine", "run", image, *args, timeout=400)
            except Failure as failure:
                if not re.search(r"unique machine name violation|already_exists", failure.what):
                    raise
            there = hook.only_ours(machines(name), labels_of)
        if not there:
            raise Stop(hook.AGAIN, "Fly does not show the machine yet")
        return {"id": there[0]["id"]}

    @staticmethod
    def free_port(name, known):
        """Returns the ssh address. All machines of an app share its addresses, so the ssh of each machine has its
        own port."""
        taken = {labels_of(machine).get(PORT) for machine in known}
        port = 20000 + zlib.crc32(name.encode()) % 40000
        while str(port) in taken:
            port = 20000 + (port - 20000 + 1) % 40000
        return port

    def ssh_info(self):
        found = hook.only_ours(machines(hook.name()), labels_of)
        if not found or found[0]["state"] != "started":
            raise Stop(hook.AGAIN, "the machine has not started yet")
        if hook.option("address") == "private":  # requires the operator's WireGuard peer
            return {"host": found[0]["private_ip"], "port": 22, "user": hook.user()}
        return {"host": hook.option("host") or hook.option("app") + ".fly.dev", "port": int(labels_of(found[0])[PORT]), "user": hook.user()}

    def destroy(self):
        found = self.find()
        for machine in found:
            hook.came_true()
            if machine["state"] != "destroying":
                try:
                    fly("machine", "destroy", machine["id"], "--force")
                except Failure as failure:
                    if not re.search(r"not.found|already destroyed", failure.what, re.I):
                        raise
        if found and not hook.wait_for(lambda: not self.find(), hook.patience()):
            return {"status": "deleting"}
        return hook.gone()

    def list_(self):
        return {"machines": [
            hook.line(m["id"], "vm", STATUS.get(m["state"], "stopped"), labels_of(m), m.get("created_at"))
            for m in machines()]}


if __name__ == "__main__":
    hook.main(Fly)
