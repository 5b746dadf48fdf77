"""A world for whole-program tests, from which no packet leaves the machine.

    ┌ namespace bottle-w<pid>-host ──────────┐   veth    ┌ namespace bottle-w<pid>-net ─────────────┐
    │ dockerd, bottle, canaries on all       ├───────────┤ plays the internet: name server, HTTPS   │
    │ addresses (22 80 2375)                 │ 203.0.113 │ hosts, canaries, a tap on the cable      │
    └────────────────────────────────────────┘           └──────────────────────────────────────────┘

The only uplink of the first namespace is the second, which has none, so a hole in a bottle ends at a canary. Needs
root, Debian's dockerd, iproute2, nsenter and openssl. Use it as a context manager; it removes everything afterward,
also after failures. Starts dockerd with nsenter, because `ip netns exec` would remount /sys and hide the cgroups from
it."""

import atexit
import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
STANDIN = os.path.join(ROOT, "tests", "standin")
BOTTLE = os.environ.get("BOTTLE", os.path.join(ROOT, "build", "release", "bottle"))
CACHE = os.path.join(ROOT, "build", "cache")
ENGINE = os.environ.get("TEST_ENGINE", "")  # where scripts/newer-docker put another Docker than the system's, or ""
ENGINE_SETTINGS = json.loads(os.environ.get("TEST_ENGINE_SETTINGS") or "{}")  # is also in daemon.json
FAR_ENGINE_SETTINGS = json.loads(os.environ.get("TEST_FAR_ENGINE_SETTINGS") or json.dumps(ENGINE_SETTINGS))
if ENGINE:
    os.environ["PATH"] = os.path.join(ENGINE, "bin") + ":" + os.environ["PATH"]
USERS_PATH = (os.path.join(ENGINE, "bin") + ":" if ENGINE else "") + "/usr/sbin:/usr/bin:/sbin:/bin"
ROOTLESS = os.path.join(ENGINE, "bin") if ENGINE else "/usr/share/docker.io/contrib"  # has dockerd-rootless.sh

HOST_IP, NET_IP, DNS_IP = "203.0.113.2", "203.0.113.1", "20.30.40.53"
API_IP = "20.30.40.20"
PUBLIC_IP, NEIGHBOR_IP = "20.30.41.2", "20.30.41.1"  # of the host and of a neighbor, in a public range
PUBLIC_IP6, NEIGHBOR_IP6 = "2600:1:2::2", "2600:1:2::1"  # for tests that give these to the two ends of the cable
FAR_EGRESS = "10.231.0.1"  # where a far engine's egress bridge has its gateway
SITES = {  # played by site.py with a certificate of the world's CA, and by plain HTTP on port 80
    "allowed.example.org": "20.30.40.10",
    "inspected.example.org": "20.30.40.11",
    "forbidden.example.net": "20.30.40.12",
}
LAN_IP = "192.168.1.20"  # a machine of the operator's network, for tests of egress.lan
SSH_HOSTS = {"git.example.org": "20.30.40.30", "other.example.org": "20.30.40.31"}  # for the real sshd of a test
BESIDE = {"host.example.org": PUBLIC_IP, "neighbor.example.org": NEIGHBOR_IP}
BESIDE6 = {"host6.example.org": PUBLIC_IP6, "neighbor6.example.org": NEIGHBOR_IP6}
FAR = {"machine.example.org": "203.0.114.2"}  # the far machine's own address (machine.py)
REBOUND = {"metadata.example.org": "169.254.169.254", "lan.example.org": "192.168.1.1", "loop.example.org": "127.0.0.1"}
CANARIES = ["169.254.169.254", "10.0.0.1", "192.168.1.1", "172.31.255.1", "100.100.100.200", "1.1.1.1", "8.8.8.8", "20.30.40.99"]
CANARY_PORTS = "22,53,80,443,2375,3128,8080"
HOST_PORTS = "22,80,2375"


def run(*args, check=True, **kwargs):
    done = subprocess.run(args, capture_output=True, text=True, **kwargs)
    if check and done.returncode:
        raise RuntimeError("%s: exit status %d\n%s%s" % (" ".join(args), done.returncode, done.stdout, done.stderr))
    return done


def is_alive(pid):
    """Returns whether a process still runs. After SIGKILL, a process on a busy machine may do so for a while."""
    with contextlib.suppress(OSError), open("/proc/%d/stat" % pid) as file:
        return file.read().rpartition(")")[2].split()[0] not in "ZX" or len(os.listdir("/proc/%d/task" % pid)) > 1
    return False


def read_jsonl(path):
    if not os.path.exists(path):
        return []
    with open(path) as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


def available_memory():
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("MemAvailable:"))


class World:
    def __init__(self, script=None, in_memory=False):
        """With `in_memory`, keeps its files in memory if the machine has plenty, because engines flush what they write
        and remove it soon afterward."""
        self.in_memory = in_memory
        self.script = script or os.path.join(STANDIN, "hello.json")
        self.stack = contextlib.ExitStack()

    # -- start and end

    def __enter__(self):
        if os.geteuid():
            raise RuntimeError("the test world needs root")
        atexit.register(self.close)
        if threading.current_thread() is threading.main_thread():  # clean up after SIGTERM too, with which `timeout` and CI end a run
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        self._sweep()
        try:
            self._make()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        atexit.unregister(self.close)
        self.stack.close()

    def _make(self):
        self.images = {}
        self.dir = tempfile.mkdtemp(prefix="bottle-w%d-" % os.getpid(), dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.stack.callback(self._remove_dir)
        if self.in_memory and available_memory() > 12 << 30:
            run("mount", "-t", "tmpfs", "-o", "size=8g,mode=755", "tmpfs", self.dir)
        name = "bottle-w%d" % os.getpid()
        self.host_ns, self.net_ns = name + "-host", name + "-net"
        for ns in (self.host_ns, self.net_ns):
            run("ip", "netns", "add", ns)
            self.stack.callback(self._remove_ns, ns)
            run("ip", "-n", ns, "link", "set", "lo", "up")
        run("ip", "-n", self.host_ns, "link", "add", "up0", "type", "veth", "peer", "name", "up0", "netns", self.net_ns)
        for ns, address in ((self.host_ns, HOST_IP), (self.net_ns, NET_IP)):
            run("ip", "-n", ns, "addr", "add", address + "/24", "dev", "up0")
            run("ip", "-n", ns, "link", "set", "up0", "up")
        for ns, address in ((self.host_ns, PUBLIC_IP), (self.net_ns, NEIGHBOR_IP)):
            run("ip", "-n", ns, "addr", "add", address + "/24", "dev", "up0")
        run("ip", "-n", self.host_ns, "route", "add", "default", "via", NET_IP)
        run("ip", "-n", self.host_ns, "-6", "addr", "add", "2001:db8:113::2/64", "dev", "up0", "nodad", check=False)
        run("ip", "-n", self.net_ns, "-6", "addr", "add", "2001:db8:113::1/64", "dev", "up0", "nodad", check=False)
        for address in CANARIES + [DNS_IP, API_IP, LAN_IP, *SITES.values(), *SSH_HOSTS.values()]:
            run("ip", "-n", self.net_ns, "addr", "add", address + "/32", "dev", "lo")
        self._certificates()
        self._internet()
        self._dockerd()

    @staticmethod
    def _remove_ns(ns):
        for pid in run("ip", "netns", "pids", ns, check=False).stdout.split():  # the shims of its containers, which a killed dockerd leaves behind
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        run("ip", "netns", "del", ns, check=False)

    def _remove_dir(self, directory=None):
        directory = directory or self.dir
        for line in reversed(open("/proc/self/mounts").read().splitlines()):  # overlays of a dockerd that died
            where = line.split()[1]
            if (where + "/").startswith(directory + "/"):
                run("umount", "-l", where, check=False)
        shutil.rmtree(directory, ignore_errors=True)

    def _sweep(self):
        """Removes the worlds of test runs that were killed, which it recognizes by the process id in their names.
        One with this process's id is that of an earlier process."""
        def dead(name):
            match = re.match(r"bottle-w(\d+)-", name)
            return match and (int(match.group(1)) == os.getpid() or not os.path.exists("/proc/" + match.group(1)))
        names = os.listdir("/run/netns") if os.path.isdir("/run/netns") else []
        for ns in filter(dead, names):
            for sign, patience in ((signal.SIGTERM, 15), (signal.SIGKILL, 2)):  # a dockerd ends its containers first
                until = time.time() + patience
                for pid in run("ip", "netns", "pids", ns, check=False).stdout.split():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(pid), sign)
                while run("ip", "netns", "pids", ns, check=False).stdout.split() and time.time() < until:
                    time.sleep(0.2)
            run("ip", "netns", "del", ns, check=False)
        for name in filter(dead, os.listdir("/tmp")):
            self._remove_dir(os.path.join("/tmp", name))

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    # -- parts

    def _certificates(self):
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        self.ca = self.path("ca.pem")
        run("openssl", "req", "-x509", *key, "-days", "2", "-subj", "/CN=Test World CA", "-keyout", self.path("ca.key"), "-out", self.ca)
        run("openssl", "req", *key, "-subj", "/CN=world", "-keyout", self.path("leaf.key"), "-out", self.path("leaf.csr"))
        names = ["api.anthropic.com", *SITES, *REBOUND, *BESIDE]
        with open(self.path("san"), "w") as file:
            file.write("subjectAltName=" + ",".join("DNS:" + n for n in names))
        run("openssl", "x509", "-req", "-in", self.path("leaf.csr"), "-CA", self.ca, "-CAkey", self.path("ca.key"), "-CAcreateserial",
            "-days", "2", "-extfile", self.path("san"), "-out", self.path("leaf.pem"))

    def spawn(self, ns, *args, ready=True):
        """Starts a child in a namespace, which ends with the world. With `ready`, waits for its first line of
        output."""
        command = ["nsenter", "--net=/run/netns/" + ns, "--", *args]
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if ready else subprocess.DEVNULL,
                                 stderr=open(self.path("stderr"), "a"), text=True, start_new_session=True)
        self.stack.callback(self._end, child)
        if ready and not child.stdout.readline():
            raise RuntimeError(" ".join(args) + " did not start: " + open(self.path("stderr")).read()[-2000:])
        return child

    @staticmethod
    def _end(child, patience=20):
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(patience)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        if child.stdout:
            child.stdout.close()

    def _internet(self):
        python = sys.executable
        self.token = "sk-ant-oat01-" + os.urandom(24).hex()
        with open(self.path("token"), "w") as file:
            file.write(self.token)
        os.chmod(self.path("token"), 0o600)
        with open(self.path("zone.json"), "w") as file:
            json.dump({n: [ip] for n, ip in {**SITES, **SSH_HOSTS, **REBOUND, **BESIDE, **BESIDE6, **FAR, "api.anthropic.com": API_IP}.items()}, file)
        self.spawn(self.net_ns, python, os.path.join(HERE, "dns.py"), "--listen", DNS_IP, "--zone", self.path("zone.json"), "--log",
                   self.path("dns.jsonl"))
        tls = ["--cert", self.path("leaf.pem"), "--key", self.path("leaf.key")]
        for name, ip in SITES.items():
            log = ["--log", self.path(name + ".jsonl")]
            self.spawn(self.net_ns, python, os.path.join(STANDIN, "site.py"), "--listen", ip + ":443", *tls, *log)
            self.spawn(self.net_ns, python, os.path.join(STANDIN, "site.py"), "--listen", ip + ":80", *log)
        self.api = None
        self.play(self.script)
        binds = [part for ip in [*CANARIES, NEIGHBOR_IP] for part in ("--bind", ip)]
        self.spawn(self.net_ns, python, os.path.join(HERE, "canary.py"), "--log", self.path("net.jsonl"), *binds, "--ports",
                   CANARY_PORTS, "--sniff", "up0")
        self.spawn(self.host_ns, python, os.path.join(HERE, "canary.py"), "--log", self.path("host.jsonl"), "--bind", "0.0.0.0",
                   "--bind", "::", "--ports", HOST_PORTS)

    def play(self, script):
        """Starts the Messages API (again) with a script: a file, or steps as Python values."""
        if not isinstance(script, str):
            with open(self.path("script.json"), "w") as file:
                json.dump(script, file)
            script = self.path("script.json")
        if self.api:
            self._end(self.api)
        self.api = self.spawn(self.net_ns, sys.executable, os.path.join(STANDIN, "messages_api.py"), "--listen", API_IP + ":443",
                              "--cert", self.path("leaf.pem"), "--key", self.path("leaf.key"), "--token-file", self.path("token"),
                              "--script", script, "--log", self.path("api.jsonl"))

    def _dockerd(self):
        self.socket = self.path("docker.sock")
        # Each program must be PID 1 of its container whatever the engine's defaults are.
        config = {**ENGINE_SETTINGS, "init": True, "runtimes": {"runsc": {"path": "/usr/bin/runsc", "runtimeArgs": ["--platform=ptrace", "--network=host"]}}}
        with open(self.path("daemon.json"), "w") as file:
            json.dump(config, file)
        self.dockerd = self.start_engine(self.socket, self.path("dockerd.log"), lambda: self.spawn(
            self.host_ns, *self.dockerd_command(self.path("dockerd.log")), "--config-file", self.path("daemon.json"), "--data-root",
            self.path("data"), "--exec-root", self.path("exec"), "--pidfile", self.path("dockerd.pid"), "-H", "unix://" + self.socket, "--dns", DNS_IP, "--group", "root", ready=False))

    def dockerd_command(self, log):
        """Returns the first words of a command that runs dockerd. An idle containerd looks for garbage every 7 ms,
        because it waits only fifty times as long as that takes. This one waits 10,000 times as long."""
        programs = self.path("engine-bin")
        if not os.path.exists(programs):
            os.mkdir(programs)
            with open(os.path.join(programs, "containerd"), "w") as file:  # containerd --config FILE …
                file.write('#!/bin/sh\nscheduler=scheduler; ! grep -qx "version = 2" "$2" || scheduler=\'"io.containerd.gc.v1.scheduler"\'\n'
                           'printf "\\n[plugins.%%s]\\n  pause_threshold = 0.0001\\n" "$scheduler" >>"$2"\nexec %s "$@"\n' % shutil.which("containerd"))
            os.chmod(file.name, 0o755)
        return ["sh", "-c", 'PATH=$0:$PATH:/usr/sbin:/sbin; log=$1; shift; exec dockerd "$@" >"$log" 2>&1', programs, log]

    def start_engine(self, socket_path, log, spawn):
        """Starts an engine and waits until it answers. On a busy machine, a dockerd gives up if its containerd takes
        longer than 15 s, so it is then started again. Returns its process."""
        for _ in range(3):
            child, until = spawn(), time.monotonic() + 180
            while child.poll() is None and time.monotonic() < until:
                with contextlib.suppress(OSError, ValueError):
                    self.engine("GET", "/_ping", raw=True, socket_path=socket_path)
                    return child
                time.sleep(0.1)
            self._end(child)
        with open(log) as file:
            raise RuntimeError("dockerd did not answer:\n" + file.read()[-3000:])

    @staticmethod
    def kill_engine(child, exec_root):
        """Sends SIGKILL to a dockerd, as in a crash. The processes of its containers live on until a new dockerd finds
        them. The system kills its containerd too, which must be dead before another one uses the same files."""
        with open(os.path.join(exec_root, "containerd", "containerd.pid")) as file:
            containerd = int(file.read())
        child.kill()
        child.wait()
        until = time.monotonic() + 60
        while is_alive(containerd) and time.monotonic() < until:
            time.sleep(0.02)

    def kill_dockerd(self):
        self.kill_engine(self.dockerd, self.path("exec"))

    def restart_dockerd(self):
        """Starts a new dockerd on the same data after the old one died."""
        if self.dockerd.poll() is None:
            self.kill_dockerd()
        for pid in ("dockerd.pid", "exec/containerd/containerd.pid"):  # a zombie that is not reaped would look like a running process
            with contextlib.suppress(OSError):
                os.unlink(self.path(pid))
        self._dockerd()

    def engine(self, method, path, raw=False, socket_path=None):
        """Makes one call of the Engine API. Returns its JSON, or text with `raw`."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(180)
            s.connect(socket_path or self.socket)
            s.sendall(("%s %s HTTP/1.0\r\nHost: engine\r\n\r\n" % (method, path)).encode())
            data = b""
            while chunk := s.recv(65536):
                data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        if not head:
            raise ConnectionResetError("%s %s: the engine gave no answer" % (method, path))
        if b"chunked" in head.lower():
            joined, rest = b"", body
            while rest:
                size, _, rest = rest.partition(b"\r\n")
                if int(size, 16) == 0:
                    break
                joined, rest = joined + rest[:int(size, 16)], rest[int(size, 16) + 2:]
            body = joined
        if int(head.split()[1]) >= 400:
            raise ValueError("%s %s: %s" % (method, path, body.decode()))
        return body.decode() if raw else json.loads(body)

    def docker(self, *args, check=True, **kwargs):
        return run("docker", "-H", "unix://" + self.socket, *args, check=check, **kwargs)

    def machine(self, **options):
        """Returns another machine, made at the first call."""
        if not hasattr(self, "_machine"):
            from machine import Machine
            self._machine = Machine(self, run, **options)
        return self._machine

    # -- images

    def load_image(self, provider):
        """Returns the reference of the provider's agent image. Only the first call loads it, so that worlds whose tests
        do not need the image lose no time."""
        if provider not in self.images:
            self.images[provider] = self._load_image(provider)
        return self.images[provider]

    def _load_image(self, provider):
        """`bottle image build` builds the image once (the only step that uses the machine's own network, as an
        operator's would); then it is kept as a tar under build/cache."""
        os.makedirs(CACHE, exist_ok=True)
        env = {**os.environ, "DOCKER_HOST": "unix://" + self.socket, "HOME": self.path("image-home")}
        env.pop("DOCKER_CONTEXT", None)
        plan = self.bottle("start", "image-" + provider, "--dry-run", "--json", "--headless", "-p", "x", cwd=self.workspace(provider + "-probe"),
                           config={"bottles": {"b": {}}, "agents": {"image-" + provider: {"bottle": "b", "provider": provider}}})
        if plan.returncode:
            raise RuntimeError("bottle start --dry-run: exit status %d\n%s" % (plan.returncode, plan.stderr))
        reference = json.loads(plan.stdout)["image"]["reference"]
        tar = os.path.join(CACHE, reference.replace("/", "_").replace(":", "_") + ".tar")
        with open(tar + ".lock", "w") as lock:  # another world may be making the same
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.path.exists(tar):
                done = subprocess.run([BOTTLE, "image", "build", provider], env=env, stdout=subprocess.PIPE, text=True, timeout=1800)
                if done.returncode:
                    raise RuntimeError("bottle image build %s: exit status %d" % (provider, done.returncode))
                self.docker("save", "-o", tar + ".part", reference)
                os.rename(tar + ".part", tar)
                return reference
        self.docker("load", "-i", tar)
        return reference

    def keep_images(self):
        """Keeps the images that the engine has now for lend_images(). No container may exist yet."""
        self.keeps_files = self.engine("GET", "/info")["Driver"] == "overlay2"  # and not the image store of containerd
        if not self.keeps_files:
            return
        os.mkdir(self.path("images"))
        # The engine may have mounted its data over itself, and a hard link cannot cross the border of a mount.
        run("unshare", "--mount", "sh", "-ec", 'for d in data/overlay2 data; do ! mountpoint -q $d || umount -R $d; done; cp -al data/overlay2 images/; cp -a data/image images/',
            cwd=self.dir)

    def lend_images(self, data):
        """Gives the images to an engine that has no data yet. Links the files of layers, because engines never write to
        them. Returns whether the engine has them then: it must otherwise load them (copy_images)."""
        if not self.keeps_files or FAR_ENGINE_SETTINGS != ENGINE_SETTINGS:
            return False
        os.makedirs(data)
        run("cp", "-al", self.path("images", "overlay2"), data)
        run("cp", "-a", self.path("images", "image"), data)
        return True

    def copy_images(self, socket_path):
        """Gives the images to an engine that runs."""
        for image in self.images.values():
            run("sh", "-ec", 'docker -H "unix://$0" save "$2" | docker -H "unix://$1" load', self.socket, socket_path, image)

    def load_small_image(self):
        """Returns the reference of an image with a shell and curl, made from this machine's files, for machines to
        which images are sent."""
        if "small" not in self.images:
            self.images["small"] = self._make_small_image()
        return self.images["small"]

    def _make_small_image(self):
        root = self.path("small")
        programs = [shutil.which(name) for name in ("bash", "sh", "curl", "cat", "uname", "nproc", "date", "mv", "seq", "sleep", "sync", "touch")]
        libraries = {word for line in run("ldd", *programs).stdout.splitlines() for word in line.split() if word.startswith("/") and word[-1] != ":"}
        for path in [*programs, *libraries]:
            where = root + (path if path in libraries else "/usr/bin/" + os.path.basename(path))
            os.makedirs(os.path.dirname(where), exist_ok=True)
            shutil.copy(path, where)
        os.symlink("usr/bin", root + "/bin")
        os.makedirs(root + "/etc")
        for name, text in (("passwd", "root:x:0:0::/:/bin/sh\nagent:x:1000:1000::/home/agent:/bin/sh\n"), ("group", "root:x:0:\nagent:x:1000:\n")):
            with open(root + "/etc/" + name, "w") as file:
                file.write(text)
        for name in ("home/agent", "workspace", "run/bottle", "tmp"):
            os.makedirs(os.path.join(root, name))
        run("tar", "-C", root, "--owner=0", "--group=0", "-cf", root + ".tar", ".")
        self.docker("import", root + ".tar", "bottle-test-small:1")
        return "bottle-test-small:1"

    # -- the operator's side

    def workspace(self, name="work", files=None):
        """Makes a new git repository with one commit: a README.md and `files`, name → text. Returns its path."""
        where = tempfile.mkdtemp(prefix=name + "-", dir=self.dir)
        git = ["git", "-C", where, "-c", "user.name=operator", "-c", "user.email=operator@example.org"]
        run("git", "init", "-q", "-b", "main", where)
        for path, text in {"README.md": "# A project\n", **(files or {})}.items():
            with open(os.path.join(where, path), "w") as file:
                file.write(text)
        run(*git, "add", "-A")
        run(*git, "commit", "-qm", "Begin")
        return where

    def environment(self, config=None, home=None, token=True):
        home = home or self.path("home")
        os.makedirs(os.path.join(home, ".config", "bottle"), exist_ok=True)
        if config is not None:
            where = os.path.join(home, ".config", "bottle", "bottle.yaml")
            with open(where + ".part", "w") as file:
                json.dump(config, file)
            os.rename(where + ".part", where)  # another start may be reading it
        env = {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", "HOME": home, "XDG_CONFIG_HOME": home + "/.config",
               "XDG_STATE_HOME": home + "/.local/state", "DOCKER_HOST": "unix://" + self.socket, "LANG": "C.UTF-8", "TERM": "xterm"}
        if token:
            env["CLAUDE_BOTTLE_OAUTH_TOKEN"] = self.token
        return env

    def qemu_environment(self, env):
        """Adds what the provider qemu needs to the variables of an operator. QEMU does not run as root, so other users
        must be able to enter the operator's home. The disk is kept for later test runs."""
        kept, cache = os.path.join(CACHE, "xdg"), self.path("xdg-cache")
        for path in (kept, cache, env["XDG_STATE_HOME"]):
            os.makedirs(path, exist_ok=True)
        os.chmod(env["HOME"], 0o711)
        if not os.path.ismount(cache):  # the directories above CACHE may be closed
            run("mount", "--bind", kept, cache)
        return {**env, "XDG_CACHE_HOME": cache}

    def state(self, home=None):
        return os.path.join(home or self.path("home"), ".local", "state", "bottle")

    def command(self, *args):
        """Returns the argv that runs bottle in the host's namespace."""
        return ["nsenter", "--net=/run/netns/" + self.host_ns, "--", BOTTLE, *args]

    def bottle(self, *args, config=None, cwd=None, home=None, env=None, token=True, timeout=600, input=""):
        """Runs bottle to its end. Returns a CompletedProcess, without checking its exit status."""
        return subprocess.run(self.command(*args), capture_output=True, text=True, cwd=cwd or self.dir, timeout=timeout,
                              input=input, env={**self.environment(config, home, token), **(env or {})})

    # -- what exists

    def left(self, socket_path=None):
        """Returns everything that has a session's label. [] means that nothing is left."""
        def ask(path):
            return self.engine("GET", path, socket_path=socket_path)
        wanted = "filters=%7B%22label%22%3A%5B%22bottle.session%22%5D%7D"
        found = ["container " + c["Names"][0] for c in ask("/containers/json?all=1&" + wanted)]
        found += ["network " + n["Name"] for n in ask("/networks?" + wanted)]
        found += ["volume " + v["Name"] for v in ask("/volumes?" + wanted).get("Volumes") or []]
        return found

    def hits(self, since=0.0):
        """Returns everything that reached a canary, and every packet on the link that was not for a host of the zone or
        its name server."""
        expected = {*SITES.values(), *SSH_HOSTS.values(), API_IP, DNS_IP, NET_IP, LAN_IP, "203.0.114.2"}
        found = []
        for log in ("net.jsonl", "host.jsonl"):
            for hit in read_jsonl(self.path(log)):
                if hit["time"] < since:
                    continue
                if hit["kind"] == "packet" and hit["dst"] in expected:
                    continue
                if hit["kind"] == "packet6" and hit["dst"].startswith(("ff02:", "fe80:", "2001:db8:113::")) and hit["proto"] in (0, 58):
                    continue  # neighbor discovery and multicast reports of the cable's own ends
                if hit["kind"] == "packet" and hit["dst"].startswith(("224.", "203.0.115.")):  # quick VMs are in the second network
                    continue
                found.append(hit)
        return found

    def names_asked(self, since=0.0):
        return {q["name"] for q in read_jsonl(self.path("dns.jsonl")) if q["time"] >= since}

    def seen(self, site, since=0.0):
        requests = [r for r in read_jsonl(self.path(site + ".jsonl")) if r["time"] >= since and r["event"] == "request"]
        # An HTTP/2 client writes the names of headers in lower case, and they arrive that way.
        return [{**r, "headers": {name.title(): value for name, value in r["headers"].items()}} for r in requests]

    def api_log(self, since=0.0):
        return [r for r in read_jsonl(self.path("api.jsonl")) if r["time"] >= since]
