"""Makes Hetzner Cloud servers with the `hcloud` command. Each server gets a firewall that admits only ssh, and an
ssh key (without a key, Hetzner makes a root password and mails it). Its primary addresses are deleted with it; their
ids are kept to check that they were."""

import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import hook  # noqa: E402
from hook import Failure, Stop  # noqa: E402

STATUS = {"initializing": "pending", "starting": "pending", "rebuilding": "pending", "migrating": "pending", "unknown": "pending", "running": "running",
          "deleting": "deleting"}
KINDS = {"server": "vm", "volume": "volume", "firewall": "firewall", "ssh-key": "key"}
CODES = [
    (hook.CANNOT, r"resource_limit_exceeded|resource_unavailable|placement_error|no_space_left_in_location|server_limit_exceeded"),
    (hook.AGAIN, r"rate_limit_exceeded|conflict|locked|service_error|server_error|unavailable|maintenance|timeout|robot_unavailable"
                 r"|resource_in_use"),
    (hook.DENIED, r"unauthorized|forbidden|token_readonly"),
]


def hcloud(*args, stdin=b"", timeout=50):
    command = hook.tool("hcloud", "install Hetzner's command-line tool (Debian: apt install hcloud-cli)")
    done = hook.run([command, *args], stdin=stdin, timeout=timeout)
    if done.code == 0:
        return done
    if "no active context" in done.err:
        raise Stop(hook.NOT_SET_UP, done.words() + "\nset HCLOUD_TOKEN, or run: hcloud context create")
    said = re.search(r"\(([a-z_]+)\)\s*$", done.err.strip())
    raise Failure(done.words(), said.group(1) if said else "")


def tolerate(codes, call):
    try:
        return call()
    except Failure as failure:
        if failure.code in codes:
            return None
        raise


def listed(kind, selector):
    return hcloud(kind, "list", "-o", "json", *(["-l", selector] if selector else [])).json() or []


def labels_of(thing):
    return thing.get("labels") or {}


def named(kind):
    """Returns the things with the name of this VM, whoever made them."""
    return listed(kind, "%s=%s" % (hook.VM, hook.known_name())) if hook.known_name() else []


def ours(kind):
    return hook.only_ours(named(kind), labels_of)


def remove(kind, key):
    """Deletes a thing. Returns False if it cannot be deleted yet. A thing that does not exist counts as deleted."""
    return tolerate(("locked", "conflict", "resource_in_use"), lambda: tolerate(
        ("not_found",), lambda: hcloud(kind, "delete", str(key))) or True) is not None


def label_flags():
    return [flag for pair in hook.labels().items() for flag in ("--label", "%s=%s" % pair)]


class Hcloud:
    @staticmethod
    def place():
        """A token belongs to one project, whose id Hetzner does not tell."""
        token = os.environ.get("HCLOUD_TOKEN", "")
        if token:
            return {"token": hook.fingerprint(token)}
        context = hcloud("context", "active").out.strip()
        return {"context": context} if context else {}

    def find(self):
        """Returns [(kind, thing)] of this VM, by name and by id. Returns only things that carry our labels."""
        found = [(kind, thing) for kind in KINDS for thing in ours(kind)]
        kind, _, key = hook.known_id().rpartition("/")
        kind = kind or "server"
        if kind in KINDS and key.isdigit() and not any(k == kind and str(thing["id"]) == key for k, thing in found):
            thing = tolerate(("not_found",), lambda: self.describe(kind, key))
            if thing:
                hook.check_ours("%s %s" % (kind, key), labels_of(thing))
                found.append((kind, thing))
        return found

    @staticmethod
    def describe(kind, key):
        try:
            return hcloud(kind, "describe", key, "-o", "json").json()
        except Failure as failure:
            raise Failure(failure.what, failure.code or ("not_found" if "not found" in failure.what else "")) from None

    # ---- addresses: they do not carry our label, so their ids are recorded before the server is deleted

    @staticmethod
    def addresses_file():
        return os.path.join(hook.env("BOTTLE_STATE_DIR"), "primary-ips")

    def remember_addresses(self, servers):
        if not os.environ.get("BOTTLE_STATE_DIR"):
            return
        servers = [server["id"] for server in servers]
        ids = [str(ip["id"]) for ip in listed("primary-ip", "") if ip.get("assignee_id") in servers and ip.get("auto_delete")]
        if ids:
            with open(self.addresses_file(), "w", encoding="ascii") as f:
                f.write("\n".join(ids) + "\n")

    def addresses_left(self):
        if not os.environ.get("BOTTLE_STATE_DIR") or not os.path.exists(self.addresses_file()):
            return []
        with open(self.addresses_file(), encoding="ascii") as f:
            ids = f.read().split()
        return [ip for ip in listed("primary-ip", "") if str(ip["id"]) in ids and not ip.get("assignee_id")]

    def status(self):
        found = self.find()
        servers = [thing for kind, thing in found if kind == "server"]
        if servers:
            return {"status": STATUS.get(servers[0]["status"], "stopped")}
        if found or self.addresses_left():
            return {"status": "deleting"}
        hook.check_nothing_in_flight()
        return {"status": "gone"}

    # ---- create

    def create(self):
        name = hook.name()
        servers = named("server")
        hook.check_free(servers, labels_of)
        kind, price = self.type()
        if not servers:
            rules = [{"direction": "in", "protocol": "tcp", "port": "22", "description": "ssh",
                      "source_ips": hook.option("ssh-from", "0.0.0.0/0 ::/0").split()}]
            self.make("firewall", name, ["--rules-file", "-"], json.dumps(rules).encode())
            self.make("ssh-key", name, ["--public-key-from-file", hook.env("BOTTLE_SSH_PUBLIC_KEY")])
            where = ["--location", hook.option("location")] if hook.option("location") else []
            self.make("server", name, ["--type", kind, "--image", hook.option("image", "debian-12"), "--firewall", name, "--ssh-key", name,
                                       "--user-data-from-file", hook.env("BOTTLE_USER_DATA"), *where])
            servers = ours("server")
        if not servers:
            raise Stop(hook.AGAIN, "Hetzner does not show the new server yet")
        self.remember_addresses(servers)
        return {"id": str(servers[0]["id"]), **({"cost_per_hour": price} if price else {})}

    @staticmethod
    def make(kind, name, args, stdin=b""):
        """Makes the thing, unless one with our labels and that name exists. Names are unique in a project."""
        if tolerate(("uniqueness_error",), lambda: hcloud(kind, "create", "--name", name, *label_flags(), *args, stdin=stdin, timeout=500)):
            return
        if not ours(kind):
            raise Stop(hook.FAILED, "there is already a %s %s, or one with the same key, and bottle did not make it for this owner" % (kind, name))

    @staticmethod
    def type():
        """Returns the cheapest type that is large enough and still sold, and its price per hour."""
        cpus, memory, disk = hook.number("BOTTLE_VM_CPUS"), hook.number("BOTTLE_VM_MEMORY_MB") or 4096, hook.number("BOTTLE_VM_DISK_GB")
        location, wanted, offers = hook.option("location"), hook.option("type"), []
        for kind in listed("server-type", ""):
            prices = [float(price["price_hourly"]["net"]) for price in kind["prices"] if location in ("", price["location"])]
            fits = kind["cores"] >= cpus and kind["memory"] * 1024 >= memory and kind["disk"] >= disk
            if prices and (kind["name"] == wanted if wanted else fits):
                offers.append((min(prices), kind["name"]))
        for price, name in sorted(offers):
            # Old versions list less than they describe.
            kind = hcloud("server-type", "describe", name, "-o", "json").json()
            old = kind.get("deprecated") or kind.get("deprecation")
            if wanted or (not old and kind.get("architecture", "x86") == hook.option("arch", "x86")):
                return name, "%.4f EUR" % price
        if wanted:
            return wanted, ""
        raise Stop(hook.NOT_SET_UP, "no server type of that location has %d CPUs, %d MB and %d GB; set options.type or options.location" % (cpus, memory, disk))

    # ---- the rest

    def ssh_info(self):
        servers = ours("server")
        if not servers or servers[0]["status"] != "running":
            raise Stop(hook.AGAIN, "the server is not running yet")
        net = servers[0]["public_net"]
        host = (net.get("ipv4") or {}).get("ip") or (net.get("ipv6") or {}).get("ip", "").replace("::/64", "::1")
        if not host:
            raise Stop(hook.AGAIN, "the server does not have an address yet")
        return {"host": host, "port": 22, "user": hook.user()}

    def destroy(self):
        found = self.find()
        servers = [thing for kind, thing in found if kind == "server"]
        if servers:
            hook.found_here()
            self.remember_addresses(servers)
            waiting = [server for server in servers if not remove("server", server["id"])]
            if waiting or not hook.wait_for(lambda: "server" not in [kind for kind, _ in self.find()], hook.patience(), step=1):
                return {"status": "deleting"}
        done = [remove(kind, thing["id"]) for kind, thing in found if kind != "server"]
        done += [remove("primary-ip", address["id"]) for address in self.addresses_left()]
        if not all(done):
            return {"status": "deleting"}
        gone = hook.gone()
        if os.environ.get("BOTTLE_STATE_DIR") and os.path.exists(self.addresses_file()):
            os.unlink(self.addresses_file())
        return gone

    def list_(self):
        lines = []
        for kind, word in KINDS.items():
            for thing in listed(kind, hook.SESSION):
                labels, status = thing["labels"], STATUS.get(thing.get("status", ""), "stopped") if kind == "server" else "running"
                key = str(thing["id"]) if kind == "server" else "%s/%s" % (kind, thing["id"])
                lines.append(hook.line(key, word, status, labels, thing["created"]))
        return hook.leftovers([m for m in lines if m["kind"] == "vm"], [m for m in lines if m["kind"] != "vm"])

    @staticmethod
    def judge(failure):
        for status, pattern in CODES:
            if failure.code and re.fullmatch(pattern, failure.code):
                return status
        return hook.judge(failure.what)


if __name__ == "__main__":
    hook.main(Hcloud)
