"""Tests `bottle remote setup` on a machine without an engine. Its package manager, sudo and systemd are stand-ins that
log their calls; they install and start the real dockerd."""

import json
import os
import subprocess
import threading

import pytest

STANDIN = """#!/bin/sh
echo "$(id -u) ${0##*/} $*" >>'%s'
case "${0##*/} $*" in
  "apt-get "*install*|"systemctl enable --now docker") echo "${0##*/}" >'%s'; while [ -s '%s' ]; do sleep 0.05; done ;;
esac
"""
SUDO = """#!/bin/sh
echo "$(id -u) sudo $*" >>'%s'
shift
exec "$@"
"""


class Bare:
    """The far machine before Docker was installed."""

    def __init__(self, far):
        self.far, self.log, self.wish, self.bin = far, far.path("asked"), far.path("wish"), far.path("standins")
        os.makedirs(self.bin, exist_ok=True)
        for path in (self.log, self.wish):
            open(path, "w").close()
            os.chmod(path, 0o666)
        for name in ("apt-get", "systemctl", "usermod"):
            self.write(name, STANDIN % (self.log, self.wish, self.wish))
        self.write("sudo", SUDO % self.log)
        far.stop_sshd()
        far.configure_sshd(SetEnv="PATH=%s:/usr/bin:/bin" % self.bin)
        far.start_sshd()
        self.inside("mount --bind /dev/null /usr/sbin/dockerd; umount /run/docker.sock; rm /run/docker.sock; mkdir -p /run/systemd/system")
        self.ends = threading.Event()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def write(self, name, text):
        path = os.path.join(self.bin, name)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o755)

    def inside(self, script):
        done = subprocess.run(["nsenter", "--mount", "--target", str(self.far.sshd.pid), "--", "sh", "-ec", script], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def serve(self):
        """Does, as root, what the stand-ins are asked to do."""
        while not self.ends.wait(0.05):
            wish = open(self.wish).read().strip()
            if wish == "apt-get":
                self.inside("umount /usr/sbin/dockerd")
            elif wish == "systemctl":
                self.inside("touch /run/docker.sock; mount --bind %s /run/docker.sock" % self.far.socket)
            if wish:
                open(self.wish, "w").close()

    def asked(self):
        return [line.split(" ", 1)[1] for line in open(self.log).read().splitlines()]

    def close(self):
        self.ends.set()
        self.thread.join()
        self.far.stop_sshd()
        self.far.configure_sshd()
        self.far.start_sshd()


@pytest.fixture
def bare(far):
    machine = Bare(far)
    yield machine
    machine.close()


def test_setup_installs_starts_and_checks(remote, far, bare):
    def setup(*args, **kwargs):
        return remote.bottle("remote", "setup", far.target, *args, env=remote.extra_env, **kwargs)
    done = remote.bottle("remote", "check", far.target, env=remote.extra_env)
    assert done.returncode == 1 and "no container engine" in done.stdout, done.stdout + done.stderr
    done = setup()  # there is no terminal to confirm on
    assert done.returncode == 125 and bare.asked() == [], (done.stderr, bare.asked())

    done = setup("--yes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    findings = {f["code"]: f["severity"] for f in json.loads(done.stdout)["findings"]}
    assert findings["engine"] == "ok" and "fail" not in findings.values(), findings
    asked = bare.asked()
    assert [line for line in asked if not line.startswith("sudo")] == [
        "apt-get -qq update", "apt-get -qq -y --no-install-recommends install docker.io iptables ca-certificates", "systemctl enable --now docker", "usermod -aG docker far"], asked
    assert len([line for line in asked if line.startswith("sudo -n")]) == 4, "each of them as root"

    done = setup("--yes")
    assert done.returncode == 0 and "nothing to install" in done.stderr and bare.asked() == asked, (done.stderr, bare.asked())
    session = remote.start("echo it works", "--remote", far.target, env=remote.extra_env)
    assert session.status == 0 and "it works" in session.out, session.explain()


def test_a_setup_script_runs_only_with_the_operators_consent(remote, far, bare):
    script = os.path.join(remote.home, "install.sh")
    with open(script, "w") as file:
        file.write("echo '0 the script' >>%s; exit 3\n" % bare.log)
    done = remote.bottle("remote", "setup", far.target, "--yes", "--docker-script", script, env=remote.extra_env)
    assert done.returncode == 125 and "failed" in done.stderr, done.stderr  # the script's exit status counts
    assert bare.asked() == ["sudo -n sh -s", "the script"], bare.asked()
