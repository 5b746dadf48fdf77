"""Another machine of the world, with the name far.example.org: a separate network namespace with a real sshd and a real
dockerd, behind the namespace that plays the internet. A mount namespace gives it separate users, /run and engine
socket.

    ┌ host ─────┐ 203.0.113 ┌ net ──────┐ 203.0.114 ┌ bottle-w<pid>-far ────────────┐
    │ operator  ├───────────┤ routes    ├───────────┤ sshd (user far), dockerd      │
    └───────────┘           └───────────┘           └───────────────────────────────┘
"""

import contextlib
import json
import os
import shutil
import signal
import stat
import time

import world as world_module

FAR_NET, FAR_IP, FAR_UID = "203.0.114.1", "203.0.114.2", 4242


class Machine:
    def __init__(self, world, run, engine=True, images=False):
        """With `images`, its engine has the images that the world keeps (World.keep_images)."""
        self.world, self.run, self.user, self.ip, self.net = world, run, "far", FAR_IP, FAR_NET.rpartition(".")[0] + ".0"
        self.ns = "bottle-w%d-far" % os.getpid()
        self.dir = world.path("far")
        self.home = os.path.join(self.dir, "home")
        self.target = "far@" + FAR_IP
        self.sshd = None
        os.makedirs(self.dir)
        copies = images and not world.lend_images(self.path("data"))
        self._make(engine)
        if copies:
            world.copy_images(self.socket)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def _make(self, engine):
        run, world = self.run, self.world
        os.makedirs(self.home)
        os.chmod(self.dir, 0o755)
        os.chown(self.home, FAR_UID, FAR_UID)
        os.chmod(self.home, 0o700)
        run("ip", "netns", "add", self.ns)
        world.stack.callback(world._remove_ns, self.ns)
        world.stack.callback(self._end_all)
        run("ip", "-n", self.ns, "link", "set", "lo", "up")
        run("ip", "-n", self.ns, "link", "add", "up0", "type", "veth", "peer", "name", "far0", "netns", world.net_ns)
        run("ip", "-n", self.ns, "addr", "add", FAR_IP + "/24", "dev", "up0")
        self.plugged = world.net_ns
        run("ip", "-n", self.ns, "link", "set", "up0", "up")
        self.plug(world.net_ns)
        run("ip", "-n", self.ns, "route", "add", "default", "via", FAR_NET)
        run("nsenter", "--net=/run/netns/" + world.net_ns, "--", "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
        for name in ("host_key", "client_key"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", self.path(name))
        with open("/etc/passwd") as source, open(self.path("passwd"), "w") as file:
            file.write(source.read() + "far:x:%d:%d::%s:/bin/sh\n" % (FAR_UID, FAR_UID, self.home))
        with open("/etc/group") as source, open(self.path("group"), "w") as file:
            file.write(source.read() + "far:x:%d:\n" % FAR_UID)
        with open(self.path("shadow"), "w") as file:
            file.write("root:*:19000:0:99999:7:::\nsshd:!:19000::::::\nfar:*:19000:0:99999:7:::\n")
        os.chmod(self.path("shadow"), 0o600)
        self.authorise(open(self.path("client_key.pub")).read())
        self.configure_sshd()
        if engine:
            self.start_dockerd()
        else:
            self.socket = None
        self.start_sshd()
        self.operator_ssh()

    def plug(self, ns):
        """Moves the other end of the machine's link into that namespace."""
        if ns != self.plugged:
            self.run("ip", "-n", self.plugged, "link", "set", "far0", "netns", ns)
            self.plugged = ns
        self.run("ip", "-n", ns, "addr", "add", FAR_NET + "/24", "dev", "far0")
        self.run("ip", "-n", ns, "link", "set", "far0", "up")

    def link(self, delay_ms=80.0, loss=0.0):
        """Makes the machine distant: `with far.link():`. See tests/world/link.py."""
        from link import Link
        return Link(self, delay_ms, loss)

    def authorise(self, key):
        with open(self.path("authorized_keys"), "w") as file:
            file.write(key)
        os.chmod(self.path("authorized_keys"), 0o644)

    def configure_sshd(self, **extra):
        options = {"ListenAddress": self.ip, "Port": 22, "HostKey": self.path("host_key"), "AuthorizedKeysFile": self.path("authorized_keys"),
                   "StrictModes": "no", "UsePAM": "no", "PidFile": self.path("sshd.pid"), "PasswordAuthentication": "no", "LogLevel": "DEBUG1",
                   "AllowUsers": "far", **extra}
        with open(self.path("sshd_config"), "w") as file:
            file.writelines("%s %s\n" % item for item in options.items())

    def start_dockerd(self, **settings):
        self.socket = self.path("docker.sock")
        with open(self.path("daemon.json"), "w") as file:
            json.dump({**world_module.FAR_ENGINE_SETTINGS, "runtimes": {"runsc": {"path": "/usr/bin/runsc", "runtimeArgs": ["--platform=ptrace", "--network=host"]}}, **settings}, file)
        self.dockerd = self.world.start_engine(self.socket, self.path("dockerd.log"), lambda: self.world.spawn(
            self.ns, *self.world.dockerd_command(self.path("dockerd.log")), "--config-file", self.path("daemon.json"),
            "--data-root", self.path("data"), "--exec-root", self.path("exec"), "--pidfile", self.path("dockerd.pid"), "-H", "unix://" + self.socket,
            "--dns", "20.30.40.53", "--group", str(FAR_UID), ready=False))

    def restart_dockerd(self):
        """Starts a new dockerd on the old data. Its socket replaces the old one in sshd's view."""
        self.start_dockerd()
        self.stop_sshd()
        self.start_sshd()

    def kill_dockerd(self):
        self.world.kill_engine(self.dockerd, self.path("exec"))

    def revive_dockerd(self):
        """Starts a new dockerd on the data of the dead one. The connections of sshd stay, and see its socket in the old
        place."""
        for pid in ("dockerd.pid", "exec/containerd/containerd.pid"):  # a zombie that is not reaped would look like a running process
            with contextlib.suppress(OSError):
                os.unlink(self.path(pid))
        self.start_dockerd()
        self.run("nsenter", "--mount", "--target", str(self.sshd.pid), "--", "sh", "-ec",
                 "umount /run/docker.sock; mount --bind $0/docker.sock /run/docker.sock", self.dir)

    @contextlib.contextmanager
    def rootless_dockerd(self):
        """Replaces the machine's engine by one that its user runs without root (rootlesskit, slirp4netns), with its
        socket where login sessions have it. The user may use /dev/net/tun, as everyone may if udev made it."""
        run_dir, own = self.path("rootless-run"), self.socket
        for directory in (run_dir, self.path("rootless")):
            os.makedirs(directory, mode=0o700)
            os.chown(directory, FAR_UID, FAR_UID)
        for name in ("subuid", "subgid"):
            with open(self.path(name), "w") as file:
                file.write("far:200000:65536\n")
        os.mknod(self.path("tun"), 0o666 | stat.S_IFCHR, os.makedev(10, 200))
        os.chmod(self.path("tun"), 0o666)
        if own:
            self.world._end(self.dockerd)
            with contextlib.suppress(OSError):
                os.unlink(own)
        script = ('set -e; mount --make-rprivate /; for f in passwd group subuid subgid; do mount --bind "$0/$f" /etc/$f; done; mount --bind "$0/tun" /dev/net/tun; '
                  'exec >"$0/rootless.log" 2>&1; exec setpriv --reuid %d --regid %d --clear-groups -- env -i PATH="$2" HOME="$0/rootless" XDG_RUNTIME_DIR="$1" '
                  '"$3/dockerd-rootless.sh" --data-root "$0/rootless/data" --exec-root "$1/exec" --pidfile "$1/dockerd.pid" -H "unix://$1/docker.sock" '
                  "--dns 20.30.40.53" % (FAR_UID, FAR_UID))
        self.stop_sshd()
        self.socket = os.path.join(run_dir, "docker.sock")
        try:
            self.dockerd = self.world.start_engine(self.socket, self.path("rootless.log"), lambda: self.world.spawn(
                self.ns, "unshare", "--mount", "sh", "-c", script, self.dir, run_dir, world_module.USERS_PATH, world_module.ROOTLESS, ready=False))
            self.start_sshd()
            yield
        finally:
            self.world._end(self.dockerd)
            for directory in (run_dir, self.path("rootless")):
                shutil.rmtree(directory, ignore_errors=True)
            os.unlink(self.path("tun"))
            self.socket = own
            if own:
                self.start_dockerd()
            if self.sshd.poll() is None:
                self.stop_sshd()
            self.start_sshd()

    def start_sshd(self):
        """Starts sshd in a mount namespace with the machine's own users and the engine of this namespace."""
        script = ("set -e; mount --make-rprivate /; for f in passwd group shadow; do mount --bind $0/$f /etc/$f; done; mount -t tmpfs -o mode=755 none /run; mount -t sysfs none /sys; "
                  "mkdir -p /run/sshd; [ ! -S $0/docker.sock ] || { touch /run/docker.sock; mount --bind $0/docker.sock /run/docker.sock; }; "
                  "[ ! -d $0/rootless-run ] || { mkdir -p /run/user/%d; mount --bind $0/rootless-run /run/user/%d; }; " % (FAR_UID, FAR_UID) +
                  "exec /usr/sbin/sshd -D -f $0/sshd_config -E $0/sshd.log")
        self.sshd = self.world.spawn(self.ns, "unshare", "--mount", "sh", "-c", script, self.dir, ready=False)
        for _ in range(1200):
            if os.path.exists(self.path("sshd.log")) and "Server listening" in open(self.path("sshd.log")).read():
                return
            time.sleep(0.05)
        raise RuntimeError("sshd did not start: " + open(self.world.path("stderr")).read()[-2000:])

    def stop_sshd(self, sessions=True):
        """Stops sshd. With `sessions`, also ends its connections."""
        self.world._end(self.sshd)
        os.unlink(self.path("sshd.log"))
        if sessions:
            self.kill_connections()

    def kill_connections(self):
        """Ends the sshd processes that serve connections, but not what they started."""
        for pid in self.pids():
            with contextlib.suppress(OSError):
                words = open("/proc/%d/cmdline" % pid, errors="replace").read()
                if words.startswith("sshd: far"):
                    os.kill(pid, signal.SIGKILL)

    def pids(self):
        return [int(pid) for pid in self.run("ip", "netns", "pids", self.ns, check=False).stdout.split()]

    def _end_all(self):
        for sign in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sign)
            until = time.time() + 10
            while self.pids() and time.time() < until:
                time.sleep(0.1)

    def operator_ssh(self):
        """Makes an ssh for the operator that does not use the configuration of the user who runs the tests."""
        self.bin = self.path("bin")
        os.makedirs(self.bin, exist_ok=True)
        key = open(self.path("host_key.pub")).read().split()
        with open(self.path("known_hosts"), "w") as file:
            file.write("%s %s %s\n" % (self.ip, key[0], key[1]))
        with open(self.path("ssh_config"), "w") as file:
            file.write("Host *\n  UserKnownHostsFile %s\n  IdentityFile %s\n  IdentitiesOnly yes\n  StrictHostKeyChecking no\n" %
                       (self.path("known_hosts"), self.path("client_key")))
        with open(os.path.join(self.bin, "ssh"), "w") as file:
            file.write('#!/bin/sh\nexec /usr/bin/ssh -F %s "$@"\n' % self.path("ssh_config"))
        os.chmod(os.path.join(self.bin, "ssh"), 0o755)

    # -- what exists

    def engine(self, method, path, raw=False):
        return self.world.engine(method, path, raw, socket_path=self.socket)

    def left(self):
        return self.world.left(socket_path=self.socket)

    def clear(self):
        """Removes what a failed test left, so that the next tests do not fail too. Replaces a dead engine."""
        if self.dockerd.poll() is not None:
            self.revive_dockerd()
        for kind, name in (thing.split() for thing in self.left()):  # containers are first
            force = ["--force"] if kind == "container" else []
            self.run("docker", "-H", "unix://" + self.socket, kind, "rm", *force, name.lstrip("/"), check=False)
        for path in self.files():
            with contextlib.suppress(OSError):
                os.unlink(path)

    def files(self):
        """Returns the paths below the machine's home, except those that may stay: caches, and the record of tried
        runtimes."""
        found = []
        for where, _, names in os.walk(self.home):
            found += [os.path.join(where, name) for name in names if "/.cache/bottle" not in where and name not in ("runtimes.json", "machine")]
        return found
