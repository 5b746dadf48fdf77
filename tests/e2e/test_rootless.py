"""Tests an engine that runs without root: a user's own dockerd in a user namespace (rootlesskit, slirp4netns), and that
user's bottle."""

import json
import os
import shutil
import stat
import subprocess
import time

import pytest

import world as world_module

UID = 4243
# The user exists only in this mount namespace, and may use /dev/net/tun, as everyone may if udev made it.
AS_THE_USER = ('set -e; mount --make-rprivate /; for f in passwd group subuid subgid; do mount --bind "$0/$f" /etc/$f; done; mount --bind "$0/tun" /dev/net/tun; '
               'exec setpriv --reuid %d --regid %d --clear-groups -- "$@"' % (UID, UID))


class User:
    def __init__(self, world):
        self.world, self.dir = world, world.path("rootless")
        self.home, self.run = os.path.join(self.dir, "home"), os.path.join(self.dir, "run")
        self.socket = os.path.join(self.run, "docker.sock")
        for directory in (self.home, self.run, os.path.join(self.dir, "work")):
            os.makedirs(directory)
            os.chown(directory, UID, UID)
        os.chmod(self.run, 0o700)
        for name, line in (("passwd", "rootless:x:%d:%d::%s:/bin/sh\n" % (UID, UID, self.home)), ("group", "rootless:x:%d:\n" % UID),
                           ("subuid", "rootless:200000:65536\n"), ("subgid", "rootless:200000:65536\n")):
            there = open("/etc/" + name).read() if name in ("passwd", "group") else ""
            with open(os.path.join(self.dir, name), "w") as file:
                file.write(there + line)
        os.mknod(os.path.join(self.dir, "tun"), 0o666 | stat.S_IFCHR, os.makedev(10, 200))
        os.chmod(os.path.join(self.dir, "tun"), 0o666)
        shutil.copy(world_module.BOTTLE, os.path.join(self.dir, "bottle"))
        self.env = {"PATH": world_module.USERS_PATH, "HOME": self.home, "XDG_RUNTIME_DIR": self.run, "LANG": "C.UTF-8", "TERM": "xterm",
                    "XDG_CONFIG_HOME": self.home + "/.config", "XDG_STATE_HOME": self.home + "/.local/state"}

    def command(self, *args):
        return ["nsenter", "--net=/run/netns/" + self.world.host_ns, "--", "unshare", "--mount", "sh", "-c", AS_THE_USER, self.dir, *args]

    def start_dockerd(self):
        log = open(os.path.join(self.dir, "dockerd.log"), "w")
        self.dockerd = subprocess.Popen(self.command(world_module.ROOTLESS + "/dockerd-rootless.sh", "--data-root", self.home + "/data", "--exec-root",
                                                     self.run + "/exec", "--pidfile", self.run + "/dockerd.pid", "-H", "unix://" + self.socket, "--dns", world_module.DNS_IP),
                                        env=self.env, cwd=self.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.world.stack.callback(self.world._end, self.dockerd)
        until = time.time() + 180
        while time.time() < until and self.dockerd.poll() is None:
            try:
                return self.world.engine("GET", "/_ping", raw=True, socket_path=self.socket)
            except (OSError, ValueError):
                time.sleep(0.2)
        raise RuntimeError("the rootless dockerd did not answer:\n" + open(os.path.join(self.dir, "dockerd.log")).read()[-3000:])

    def bottle(self, *args, config, cwd, timeout=180):
        os.makedirs(self.home + "/.config/bottle", exist_ok=True)
        with open(self.home + "/.config/bottle/bottle.yaml", "w") as file:
            json.dump(config, file)
        subprocess.run(["chown", "-R", "%d:%d" % (UID, UID), self.home + "/.config"], check=True)
        return subprocess.run(self.command(os.path.join(self.dir, "bottle"), *args), env=self.env, cwd=cwd, capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def user(world):
    user = User(world)
    user.start_dockerd()
    image = world.load_image("shell")
    saved = subprocess.Popen(["docker", "-H", "unix://" + world.socket, "save", image], stdout=subprocess.PIPE)
    subprocess.run(["docker", "-H", "unix://" + user.socket, "load"], stdin=saved.stdout, check=True, capture_output=True)
    assert saved.wait() == 0
    return user


def start(world, operator, user, **config):
    where = world.workspace("rootless")
    subprocess.run(["chown", "-R", "%d:%d" % (UID, UID), where], check=True)
    script = ('[ "$BOTTLE_TEST" = inside ] || exit 99\ncurl -sS -m 20 https://allowed.example.org/hello; curl -sS -m 20 https://forbidden.example.net/; '
              "echo made >made.txt; git add -A && git -c user.name=a -c user.email=a@b commit -qm work; exit 7")
    return where, user.bottle("start", "a", "--yes", "--headless", "-p", script, config=operator.config(**config), cwd=where)


def test_a_session_on_a_rootless_engine(world, operator, user):
    """No variable names the socket. bottle finds it where rootless engines put it."""
    since = time.time()
    where, done = start(world, operator, user)
    assert done.returncode == 7, done.stderr + done.stdout
    assert "hello from allowed.example.org" in done.stdout and "hello from forbidden" not in done.stdout
    refs = subprocess.run(["git", "-C", where, "-c", "safe.directory=*", "for-each-ref", "refs/bottle", "--format=%(subject)"], capture_output=True, text=True).stdout
    assert "work" in refs.split("\n"), refs
    assert world.left(user.socket) == []
    assert world.seen("forbidden.example.net", since) == []


def test_bind_is_refused_on_a_rootless_engine(world, operator, user):
    where, done = start(world, operator, user, workspace="bind")
    assert done.returncode == 125 and "rootless" in done.stderr and "clone" in done.stderr, done.stderr
    assert not os.path.exists(os.path.join(where, "made.txt")) and world.left(user.socket) == []
