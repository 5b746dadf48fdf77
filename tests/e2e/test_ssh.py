"""Tests ssh hosts of the manifest with real sshd, ssh and git, and keys in a real ssh-agent outside the bottle."""

import os
import socket
import subprocess
import threading

import pexpect
import pytest

import world as world_module
from attacks import OTHER_REQUESTS
from look import containers, kill_for_sure, make_file, supervisors_of, written
from operators import wait_for
from ssh_server import Server, Setup, agents_of, keygen, public, secrets_of
from terminals import end


@pytest.fixture
def ssh(world, operator):
    yield Setup(world, operator)
    assert agents_of(operator) == [], "an ssh-agent is left"


def test_git_and_ssh_work_and_the_bottle_has_no_key(world, operator, ssh, runtime):
    session = operator.start(
        "set -x; cd /tmp && git clone -q ssh://git.example.org%s/repo.git r && cd r && echo inside > f && git add f && "
        "git -c user.name=a -c user.email=a@b.invalid commit -qm Inside && git push -q origin HEAD:refs/heads/agent/$BOTTLE; echo \"git $?\"; "
        "ssh git.example.org hello; ssh other.example.org there; ssh-add -L; "
        "grep -rlsF -e '%s' -e '%s' /home /run /tmp /etc /workspace /var /.bottle | sed 's/^/FOUND /'; "
        "cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n' | grep -e 'PRIVATE KEY' && echo FOUND environment; true"
        % (ssh.git.dir, secrets_of(ssh.one)[1], secrets_of(ssh.two)[1]), runtime=runtime, ssh=ssh.hosts())
    assert session.status == 0, session.explain()
    assert "git 0" in session.out and any(ssh.git.subject(ref) == "Inside" for ref in ssh.git.refs()), session.explain()
    assert "logged in at git.example.org: hello" in session.out, session.explain()
    assert "logged in at other.example.org: there" in session.out, session.explain()
    assert public(ssh.one) in session.out and public(ssh.two) in session.out, session.explain()
    assert "FOUND" not in session.out, session.explain()
    assert operator.home not in session.out, "paths of the operator's"
    signed = [e for e in session.audit() if e["kind"] == "ssh-agent" and e["action"] == "allow"]
    assert {e["host"] for e in signed} == {"git.example.org", "other.example.org"}, session.audit()


# Asks for the keys and hangs up before the answer, as often as the first argument says.
HANG_UP = """
import os, socket, sys, time
done = 0
while done < int(sys.argv[1]):
    try:
        with socket.socket(socket.AF_UNIX) as agent:
            agent.connect(os.environ["SSH_AUTH_SOCK"])
            agent.sendall(b"\\0\\0\\0\\1\\x0b")
        done += 1
    except OSError:  # the relay has as many clients as it may have
        time.sleep(0.05)
"""


def test_requests_without_an_answer_cost_the_supervisor_nothing(world, operator, ssh, until):
    """Each would keep a thread's stack, until no further thread could start and the supervisor would die."""
    # While many requests are being answered, the relay refuses further ones.
    script = ("cat >/tmp/hang_up.py <<'end'\n%s\nend\nlists() { until ssh-add -l >$1; do sleep 0.2; done; }; "
              "python3 /tmp/hang_up.py 10 && lists /tmp/first; while [ ! -e /tmp/go ]; do sleep 0.1; done; "
              "python3 /tmp/hang_up.py 30 && lists /tmp/second; sleep 600" % HANG_UP)
    process = operator.background(script, ssh=ssh.hosts())

    def maps():
        [supervisor] = supervisors_of(operator)
        with open("/proc/%d/maps" % supervisor) as file:
            return len(file.readlines())
    written(operator, until, "/tmp/first")
    before = maps()
    make_file(world, containers(world, "agent")[0]["Id"], "/tmp/go")
    written(operator, until, "/tmp/second")
    assert until(lambda: maps() < before + 30, 10), (before, maps())
    assert operator.bottle("stop", *operator.sessions()).returncode == 0
    process.communicate(timeout=360)


# Takes all but one of the processes that the container may have, then that one, and becomes a client of the ssh-agent.
AT_THE_LIMIT = "sh -c '(while :; do sleep 60 & done) 2>/dev/null; sleep 60 & exec ssh-add -l'; echo \"ssh-add ended with $?\""


def test_an_agent_without_a_free_thread_does_not_end_its_bottle(world, operator, ssh):
    session = operator.start(AT_THE_LIMIT, ssh=ssh.hosts(), resources={"pids": 60})
    assert session.status == 0, session.explain()
    # The relay hangs up on a client that it has no thread for. SIGPIPE ends an ssh-add that writes after that.
    assert "ssh-add ended with 1\n" in session.out or "ssh-add ended with 141\n" in session.out, session.explain()


OTHER_LOGINS = (
    "sed 's/ssh-other/ssh-git/' ~/.ssh/config > /tmp/config; ssh -F /tmp/config other.example.org with-the-first; echo \"other $?\"; "
    "ssh -l nobody git.example.org as-nobody; echo \"user $?\"; ")


def test_a_key_signs_only_logins_at_its_host(world, operator, ssh):
    session = operator.start(OTHER_LOGINS + OTHER_REQUESTS + "ssh git.example.org still; ssh -A git.example.org forwarding", ssh=ssh.hosts())
    assert session.status == 0, session.explain()
    assert "with-the-first" not in session.out and "as-nobody" not in session.out, session.explain()
    for refused in ("other", "user", "sign", "delete", "test"):
        assert refused + " 0" not in session.out, session.explain()
    assert "logged in at git.example.org: still" in session.out, session.explain()
    reasons = " ".join(e.get("reason", "") for e in session.audit() if e["kind"] == "ssh-agent" and e["action"] == "deny")
    for said in ("not for this host and user", "not bound to a host", "requests of type"):
        assert said in reasons, reasons


def test_another_host_key_and_another_port_are_refused(world, operator, ssh):
    keygen(os.path.join(operator.home, "stranger"))
    session = operator.start(
        "ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null git.example.org one; echo \"key $?\"; "
        "ssh -p 2222 other.example.org two; echo \"port $?\"; ssh other.example.org three",
        ssh=ssh.hosts(host_key=public(os.path.join(operator.home, "stranger"))))
    assert session.status == 0, session.explain()
    assert "key 0" not in session.out and "port 0" not in session.out, session.explain()
    assert "logged in at git.example.org" not in session.out and "two" not in session.out
    assert "logged in at other.example.org: three" in session.out, session.explain()
    codes = {(e["host"], e["code"]) for e in session.audit() if e["action"] == "deny"}
    assert ("git.example.org", "ssh_key") in codes and ("other.example.org", "not_allowed") in codes, codes


def test_the_operators_own_agent_is_used_and_filtered(world, operator, ssh):
    sock = os.path.join(operator.home, "a.sock")
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", sock], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        private = os.path.join(operator.home, "private")
        keygen(private)
        add = ["ssh-add", "-q", ssh.one, private]
        assert wait_for(lambda: subprocess.run(add, env={**os.environ, "SSH_AUTH_SOCK": sock}, capture_output=True).returncode == 0, 60)
        os.rename(ssh.one, ssh.one + ".away")  # a key that is not needed does not have to be readable
        session = operator.start("ssh git.example.org hello; ssh other.example.org there; ssh-add -L; ssh -o IdentitiesOnly=no -o IdentityFile=none -l root git.example.org any",
                                 ssh=ssh.hosts(), env={"SSH_AUTH_SOCK": sock})
        assert "logged in at git.example.org: hello" in session.out and "logged in at other.example.org: there" in session.out, session.explain()
        assert public(ssh.one) in session.out and public(private) not in session.out, session.explain()
        held = subprocess.run(["ssh-add", "-l"], env={**os.environ, "SSH_AUTH_SOCK": sock}, capture_output=True, text=True).stdout
        assert len(held.splitlines()) == 2, "the operator's agent is as it was"
    finally:
        agent.terminate()
        agent.wait()


# Connects stdin and stdout with the ssh-agent of the bottle.
BRIDGE = """
import os, select, socket
agent = socket.socket(socket.AF_UNIX)
agent.connect("/run/bottle/ssh-agent.sock")
while True:
    for ready in select.select([0, agent], [], [])[0]:
        data = os.read(0, 65536) if ready == 0 else agent.recv(65536)
        if not data:
            raise SystemExit
        agent.sendall(data) if ready == 0 else os.write(1, data)
"""


class Accomplice:
    """Serves the ssh-agent of a bottle to an ssh outside, as an agent could with any host that it may reach."""

    def __init__(self, world, operator, container):
        self.socket = os.path.join(operator.home, "accomplice.sock")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.socket)
        self.listener.listen(8)
        self.command = ["docker", "-H", "unix://" + world.socket, "exec", "-i", container, "python3", "-c", BRIDGE]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            subprocess.Popen(self.command, stdin=client, stdout=client)
            client.close()


def test_the_key_logs_in_on_no_connection_of_somebody_else(world, operator, ssh, until):
    """The server's signature is genuine, and the login is one to the key's host, but not from the bottle."""
    process = operator.background(
        "ssh git.example.org inside > /tmp/inside; echo done > /tmp/ready; sleep 600", ssh=ssh.hosts())
    written(operator, until, "/tmp/ready")
    container = containers(world, "agent")[0]["Id"]
    accomplice = Accomplice(world, operator, container)
    done = subprocess.run(
        ["ip", "netns", "exec", world.net_ns, "ssh", "-F", "/dev/null", "-o", "IdentityAgent=" + accomplice.socket,
         "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes",
         "root@" + world_module.SSH_HOSTS["git.example.org"], "from-outside"], capture_output=True, text=True, timeout=120)
    accomplice.listener.close()
    inside = subprocess.run(["docker", "-H", "unix://" + world.socket, "exec", container, "cat", "/tmp/inside"],
                            capture_output=True, text=True)
    assert "logged in at git.example.org: inside" in inside.stdout, inside
    assert "from-outside" not in done.stdout and done.returncode == 255, done
    assert operator.bottle("stop", *operator.sessions()).returncode == 0
    process.communicate(timeout=360)
    record = operator.bottle("logs", "--egress").stdout
    assert "the bottle has no connection to this host with this key exchange" in record, (record, done)


def test_a_passphrase_is_asked_on_the_terminal_and_kept_nowhere(world, operator, ssh):
    phrase = "correct horse " + os.urandom(6).hex()
    os.remove(ssh.one)
    os.remove(ssh.one + ".pub")
    keygen(ssh.one, phrase)
    Server(world, "git.example.org", [ssh.one])
    env = world.environment(operator.config(ssh=ssh.hosts()), operator.home)
    command = world.command("start", "a", "--yes", "--headless", "-p", '[ "$BOTTLE_TEST" = inside ] || exit 99; ssh git.example.org hello; sleep 5')
    child = pexpect.spawn(command[0], command[1:], env=env, cwd=operator.workspace, encoding="utf-8", timeout=240)
    try:
        child.expect("Passphrase of .*key-one")
        child.sendline("wrong")
        child.expect("Passphrase of .*key-one")
        child.sendline(phrase)
        child.expect("logged in at git.example.org: hello")
        for pid in filter(str.isdigit, os.listdir("/proc")):
            for part in ("cmdline", "environ"):
                try:
                    assert phrase.encode() not in open("/proc/%s/%s" % (pid, part), "rb").read(), (pid, part)
                except OSError:
                    pass
        done = subprocess.run(["grep", "-rlF", phrase, operator.home], capture_output=True, text=True)
        assert done.stdout == ""
        child.expect(pexpect.EOF)
    finally:
        end(child)


def test_a_missing_key_starts_nothing(world, operator, ssh):
    os.remove(ssh.one)
    session = operator.start("true", ssh=ssh.hosts())
    assert session.status == 125 and "key-one" in session.err, session.explain()
    assert operator.sessions() == [] and world.left() == []


def test_the_agent_does_not_outlive_a_killed_supervisor(world, operator, ssh, until):
    process = operator.background("sleep 100", ssh=ssh.hosts())
    assert until(lambda: any(c["Labels"].get("bottle.role") == "agent" for c in world.engine("GET", "/containers/json")), 60)
    assert until(lambda: len(agents_of(operator)) == 1, 60)
    kill_for_sure(*supervisors_of(operator))
    process.communicate(timeout=360)
    assert until(lambda: agents_of(operator) == [], 60), "the keys are still in memory"
    assert operator.bottle("cleanup").returncode == 0
    assert world.left() == [] and operator.sessions() == []
