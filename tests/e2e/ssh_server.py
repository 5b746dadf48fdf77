"""Real ssh servers of the world, and the keys for them."""

import os

import world as world_module
from operators import wait_for

SERVER = """
ListenAddress {ip}
Port 22
Port 2222
HostKey {dir}/host
AuthorizedKeysFile {dir}/authorized
PidFile none
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
StrictModes no
LogLevel VERBOSE
ForceCommand {dir}/serve
"""
# What a login can do on this server: run git in this directory, or print that it succeeded.
SERVE = """#!/bin/sh
case "$SSH_ORIGINAL_COMMAND" in
  git-upload-pack*|git-receive-pack*) exec git-shell -c "$SSH_ORIGINAL_COMMAND" ;;
  *) echo "logged in at {name}: $SSH_ORIGINAL_COMMAND" ;;
esac
"""


def keygen(path, passphrase=""):
    world_module.run("ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "test", "-f", path)


def public(path):
    with open(path + ".pub") as file:
        return " ".join(file.read().split()[:2])


running = set()


class Server:
    def __init__(self, world, name, allowed):
        self.name, self.dir = name, world.path("sshd-" + name)
        if not os.path.isdir(self.dir):
            os.mkdir(self.dir)
            keygen(self.dir + "/host")
            world_module.run("git", "init", "-q", "--bare", "-b", "main", self.dir + "/repo.git")
            with open(self.dir + "/serve", "w") as file:
                file.write(SERVE.format(name=name))
            os.chmod(self.dir + "/serve", 0o755)
            with open(self.dir + "/config", "w") as file:
                file.write(SERVER.format(ip=world_module.SSH_HOSTS[name], dir=self.dir))
        if name not in running:  # once per world
            running.add(name)
            os.makedirs("/run/sshd", exist_ok=True)
            world.spawn(world.net_ns, "/usr/sbin/sshd", "-D", "-f", self.dir + "/config", "-E", self.dir + "/log", ready=False)
            assert wait_for(lambda: os.path.exists(self.dir + "/log") and "listening" in self.log(), 60), name
        with open(self.dir + "/authorized", "w") as file:
            file.write("".join(public(key) + "\n" for key in allowed))
        self.host_key = public(self.dir + "/host")

    def log(self):
        with open(self.dir + "/log") as file:
            return file.read()

    def refs(self):
        return world_module.run("git", "-C", self.dir + "/repo.git", "for-each-ref", "--format=%(refname)").stdout.split()

    def subject(self, ref):
        return world_module.run("git", "-C", self.dir + "/repo.git", "log", "-1", "--format=%s", ref).stdout.strip()


class Setup:
    def __init__(self, world, operator):
        self.one, self.two = os.path.join(operator.home, "key-one"), os.path.join(operator.home, "key-two")
        keygen(self.one)
        keygen(self.two)
        # The server accepts the first key for every host, so only bottle can keep it from the other host.
        self.git, self.other = Server(world, "git.example.org", [self.one, self.two]), Server(world, "other.example.org", [self.one, self.two])

    def hosts(self, **changes):
        one = {"host": self.git.name, "user": "root", "host_key": self.git.host_key, "identity_file": self.one, **changes}
        return [one, {"host": self.other.name, "user": "root", "host_key": self.other.host_key, "identity_file": self.two}]


def agents_of(operator):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = open("/proc/%s/cmdline" % pid, "rb").read().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"ssh-agent") and operator.home.encode() in b" ".join(words):
            found.append(int(pid))
    return found


def secrets_of(path):
    """Returns lines of a private key that could be found elsewhere."""
    with open(path) as file:
        return [line for line in file.read().splitlines() if not line.startswith("-----")]
