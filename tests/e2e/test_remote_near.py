"""Tests what stays on the operator's machine and is used from another one: secrets, a service of the LAN, ssh keys.
Also tests that the other machine cannot reach back."""

import json
import os
import signal
import subprocess
import sys
import time

import world as world_module
from far import Lines, background, inside, running, state_of, supervisor_of
from look import kill_for_sure
from ssh_server import Setup, agents_of, public, secrets_of
from values import SECRET, begin, everywhere, forms, in_memory, processes_on

LAN = "192.168.77.20"


def test_secrets_stay_on_the_near_side_which_makes_the_requests(remote, far, until):
    since, token = time.time(), remote.world.token
    # The far guard refuses the placeholder to another host, and the value is not on that machine.
    process = begin(remote, far, 'echo "inside: $TOKEN"; curl -sS -m 20 -o /dev/null -w "other %{http_code}\\n" -H "X: $TOKEN" http://allowed.example.org/\n'
                    'curl -sS -m 60 https://inspected.example.org/bytes/3000000 | wc -c\n'
                    'curl -sS -m 20 -w "other header %{http_code}\\n" -H "X-Echo: Basic $(printf "%szz" "$TOKEN" | base64 -w0)" https://inspected.example.org/echo\n'
                    'curl -sS -m 20 -w "echo %{http_code}\\n" https://inspected.example.org/echo\n'
                    'while [ ! -e stop ]; do curl -sS -m 10 -D head -o /dev/null -w "%{http_code}\\n" -H "Authorization: Bearer $TOKEN" https://inspected.example.org/again; '
                    'grep -i "^x-bottle" head; sleep 1; [ $SECONDS -lt 900 ] || touch stop; done', "--secrets", "tunnel",
                    egress={"hosts": {"inspected.example.org": world_module.SITES["inspected.example.org"] + ":443"}})
    output, errors = Lines(process), Lines(process, process.stderr)
    try:
        assert until(lambda: output.count("200") >= 2 or process.poll() is not None, 120) and process.poll() is None, (output.lines, errors.lines)
        assert everywhere(remote, far, token) == []
        holders = [pid for pid in processes_on(far) if in_memory(pid, [token.encode()])]
        assert holders == [], "in memory on the far machine: %s" % holders
        # The connection breaks. The agent gets an error code at once, not after its own timeout.
        far.stop_sshd()
        away = until(lambda: inside(remote, far, "grep", "-qi", "x-bottle-error: operator_away", "/workspace/head"), 60)
        far.start_sshd()
        assert away, "the agent was told nothing"
        assert until(lambda: "503" in output.lines and "200" in output.lines[output.lines.index("503"):], 60), output.lines
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(360)
        err = errors.all()
        output.all()
    assert "3000000" in output.lines and "other 403" in output.lines, output.lines
    assert any(line.lower() == "x-bottle-error: operator_away" for line in output.lines), output.lines
    assert output.count("other header 403") == 1, "a placeholder in another header: %s" % output.lines
    decisions = remote.bottle("logs", "--egress", env=remote.extra_env).stdout
    assert '"secret_in_answer"' in decisions and token not in decisions, decisions
    session = json.loads(remote.bottle("logs", "--json", env=remote.extra_env).stdout)["session"]
    checked = json.loads(remote.bottle("audit", "verify", session, "--json", env=remote.extra_env).stdout)
    assert checked["ok"] and [f["closed"] and f["sealed"] for f in checked["files"]] == [True, True], checked
    assert not any(form.decode() in line for line in output.lines for form in forms(token)) and token not in err
    sent = remote.world.seen("inspected.example.org", since)
    assert sent and {r["headers"].get("Authorization") for r in sent} == {"Bearer " + token}
    assert remote.world.seen("allowed.example.org", since) == []
    assert everywhere(remote, far, token) == []


def test_a_session_of_the_same_name_in_another_state_directory_leaves_this_one_alone(remote, far, until):
    """Two state directories, such as those of two laptops, use the same user on the same machine."""
    other = {"XDG_STATE_HOME": os.path.join(remote.home, "other-state")}

    def start_there():
        process = background(remote, far, "true", "--name", "nightly", env=other)
        return process, process.communicate(timeout=360)[1]
    process = background(remote, far, "echo precious >precious; until [ -e stop ]; do sleep 0.2; done", "--name", "nightly")
    try:
        running(remote, until)
        kill_for_sure(supervisor_of(remote)[1])
        process.communicate(timeout=360)
        second, err = start_there()
        assert second.returncode == 125 and "already" in err, err
        done = remote.bottle("cleanup", env={**remote.extra_env, **other}, timeout=120)
        assert "nightly" not in done.stdout, done.stdout
        assert inside(remote, far, "touch", "/workspace/stop"), "the agent of the first session was ended"
        assert until(lambda: not far.left(), 120), far.left()

        def refused_because_of_the_results():
            second, err = start_there()
            assert second.returncode == 125, err
            return "the results of another session" in err
        assert until(refused_because_of_the_results, 60), "the supervisor removes its session's directory last"
    finally:
        done = remote.bottle("cleanup", env=remote.extra_env, timeout=360)
    assert done.returncode == 0, done.stderr
    [worktree] = [ref for ref in remote.git("for-each-ref", "--format=%(refname)", "refs/bottle").split() if ref.endswith("/worktree")]
    assert remote.git("show", worktree + ":precious") == "precious\n"


def test_near_services_resume_after_an_attach(remote, far, until):
    """The near supervisor, which holds the secret, is killed. `bottle attach` reads the secret again, and the far guard
    accepts the new broker, which has another root. Without one of two secrets, the session continues with the other and
    says what is missing. Without a file whose values must not leave, this machine serves no requests."""
    since, token, other = time.time(), remote.world.token, os.urandom(12).hex()
    hosts = ("inspected.example.org", "allowed.example.org")
    secrets = {**SECRET, "other": {"from": "env:OTHER_HERE", "hosts": ["allowed.example.org"], "env": "OTHER", "header": "X-Key: {}"}}
    listed = os.path.join(remote.home, "listed")
    with open(listed, "w") as file:
        file.write(os.urandom(12).hex() + "\n")
    process = begin(remote, far, 'code() { curl -sS -m 10 -o /dev/null -w "%{http_code}" https://$1/again; }\n'
                    'for i in $(seq 1000); do echo "$i $(code inspected.example.org) $(code allowed.example.org)"; sleep 0.5; done',
                    "--secrets", "tunnel", egress={"hosts": {host: world_module.SITES[host] + ":443" for host in hosts}},
                    secrets=secrets, env={"OTHER_HERE": other}, scan={"secrets": [listed]})
    output = Lines(process)

    def kill_supervisor():
        _, supervisor = supervisor_of(remote)
        kill_for_sure(supervisor)
        assert until(lambda: state_of(remote) == "unattended", 60)

    def joined(token):
        environment = {**remote.world.environment(None, remote.home, token), **remote.extra_env, "OTHER_HERE": other}
        return subprocess.Popen(remote.world.command("attach"), cwd=remote.workspace, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    processes, seen = [process], lambda: len(remote.world.seen("inspected.example.org", since))
    try:
        assert until(lambda: seen() >= 2 or process.poll() is not None, 90) and process.poll() is None, (output.lines, process.stderr.read())
        kill_supervisor()
        process.wait(360)
        processes.append(joined(False))
        second = Lines(processes[-1])
        assert until(lambda: second.lines and second.lines[-1].endswith(" 502 200"), 60), second.lines
        kill_supervisor()
        errors = processes[-1].stderr.read()
        assert "without secret claude-oauth: " in errors and "secret other" not in errors and token not in errors, errors
        os.rename(listed, listed + ".away")
        processes.append(joined(True))
        third = Lines(processes[-1])
        assert until(lambda: third.lines and third.lines[-1].endswith(" 503 503"), 60), third.lines
        kill_supervisor()
        errors = processes[-1].stderr.read()
        assert "cannot serve requests from this machine: scan.secrets" in errors, errors
        os.rename(listed + ".away", listed)
        processes.append(joined(True))
        fourth, before = Lines(processes[-1]), seen()
        assert until(lambda: seen() >= before + 2 and fourth.lines and fourth.lines[-1].endswith(" 200 200"), 60), fourth.lines
        assert everywhere(remote, far, token) == []
    finally:
        for each in processes:
            if each.poll() is None:
                each.send_signal(signal.SIGTERM)
        remote.bottle("stop", *remote.sessions(), env=remote.extra_env, timeout=360)
        for each in processes:
            each.wait(360)
    assert {r["headers"].get("Authorization") for r in remote.world.seen("inspected.example.org", since)} == {"Bearer " + token}


def listeners(far):
    """Returns the listening sockets in the far machine's namespace, except those of Docker, of its containers' shims,
    and of the far supervisor. The last are accessible only to its user, and lead to the session, not to the
    operator."""
    done = world_module.run("nsenter", "--net=/run/netns/" + far.ns, "--", "ss", "-Hltnux")
    return {" ".join(line.split()[:5:4]) for line in done.stdout.splitlines() if not any(known in line for known in ("containerd", "docker", "/.local/state/bottle/sessions/"))}


def test_only_the_listed_service_of_the_near_lan_is_reachable(remote, far, until):
    world = remote.world
    world_module.run("ip", "-n", world.host_ns, "addr", "add", LAN + "/32", "dev", "lo")
    log = world.path("lan.jsonl")
    services = [world.spawn(world.host_ns, sys.executable, os.path.join(world_module.STANDIN, "site.py"), "--listen", "%s:%d" % (LAN, port), "--log", log)
                for port in (8080, 8081)]
    before = listeners(far)
    try:
        route = {"name": "tracker.bottle", "to": LAN + ":8080", "methods": ["GET"], "paths": ["/issues/**"]}
        script = ('ask() { curl -sS -m 20 -o /dev/null -w "$1 %{http_code}\\n" "${@:2}"; }\n'
                  "ask good http://tracker.bottle/issues/1; ask path http://tracker.bottle/admin; ask method -X POST -d x http://tracker.bottle/issues/1\n"
                  "ask port http://tracker.bottle:8081/issues/1; ask raw http://LAN:8080/issues/1; ask up http://tracker.bottle/issues/../admin\n"
                  "curl -sS -m 5 --noproxy '*' http://LAN:8080/issues/1 || echo direct refused; sleep 5").replace("//LAN", "//" + LAN)
        process = begin(remote, far, script, egress={"lan": [route]})
        output = Lines(process)
        assert until(lambda: "direct refused" in output.lines or process.poll() is not None, 120), output.lines
        assert listeners(far) <= before, "something listens on the far machine"
        err = process.communicate(timeout=360)[1]
        output.thread.join()
        assert output.lines[0] == "good 200", (output.lines, err)
        assert {"path 403", "method 403", "port 403", "raw 403", "up 403"} <= set(output.lines), output.lines
        asked = [(r["method"], r["path"]) for r in world_module.read_jsonl(log) if r["event"] == "request"]
        assert asked == [("GET", "/issues/1")], asked
    finally:
        for service in services:
            world._end(service)
        world_module.run("ip", "-n", world.host_ns, "addr", "del", LAN + "/32", "dev", "lo")


def test_ssh_keys_stay_on_the_near_side_and_sign_for_the_far_bottle(remote, far):
    ssh = Setup(remote.world, remote)
    parts = [secrets_of(key)[1] for key in (ssh.one, ssh.two)]
    session = remote.start("cd /tmp && git clone -q ssh://git.example.org%s/repo.git r; echo \"git $?\"; ssh git.example.org hello; ssh-add -L; sleep 1" % ssh.git.dir,
                           "--remote", far.target, ssh=ssh.hosts(), env=remote.extra_env, timeout=360)
    assert session.status == 0, session.explain()
    assert "git 0" in session.out and "logged in at git.example.org: hello" in session.out, session.explain()
    assert public(ssh.one) in session.out, session.explain()
    done = subprocess.run(["grep", "-rlaF", "--devices=skip", "-e", parts[0], "-e", parts[1], far.home, far.path("data"), far.path("sshd.log")], capture_output=True, text=True)
    assert done.stdout == ""
    assert agents_of(remote) == [], "an ssh-agent is left"


def test_a_machine_that_can_reach_the_operators_machine_is_refused(remote, far):
    world, run = remote.world, world_module.run

    def start(*args, **config):
        return remote.start('curl -sS -m 20 -o /dev/null -w "metadata %{http_code}\\n" https://metadata.example.org/; curl -sS -m 20 -o /dev/null -w "lan %{http_code}\\n" http://lan.example.org/; true',
                            "--remote", far.target, *args, egress={"allow": ["metadata.example.org", "lan.example.org"]}, env=remote.extra_env, **config)
    try:
        run("ip", "-n", far.ns, "tuntap", "add", "dev", "tun7", "mode", "tun")
        session = start()
        assert session.status == 125 and "tun7" in session.err and "--allow-vpn" in session.err, session.explain()
        assert far.left() == []
        # The far guard refuses private ranges and metadata on any machine.
        session = start("--allow-vpn")
        assert session.status == 0 and "lan 403" in session.out, session.explain()
        assert {e["code"] for e in session.audit() if e["action"] == "deny" and e["host"] in ("metadata.example.org", "lan.example.org")} == {"address"}, session.audit()
    finally:
        run("ip", "-n", far.ns, "link", "del", "tun7", check=False)
    # Routes of either family, and through a bridge whose name resembles that of an engine's bridge.
    for network, there, here in (("10.77.0.0/24", "10.77.0.2/24", "10.77.0.9/24"), ("fd00:77::/64", "fd00:77::2/64", "fd00:77::9/64")):
        try:
            for ns, address in ((far.ns, there), (world.host_ns, here)):
                run("ip", "-n", ns, "link", "add", "br-lan", "type", "veth", "peer", "name", "lan7p")
                run("ip", "-n", ns, "link", "set", "lan7p", "up")
                run("ip", "-n", ns, "addr", "add", address, "dev", "br-lan", *(["nodad"] if ":" in address else []))
                run("ip", "-n", ns, "link", "set", "br-lan", "up")
            session = start()
            assert session.status == 125 and network in session.err and "your own network" in session.err, session.explain()
            assert far.left() == []
        finally:
            for ns in (far.ns, world.host_ns):
                run("ip", "-n", ns, "link", "del", "br-lan", check=False)
