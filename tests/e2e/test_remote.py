"""Tests `bottle start --remote`: the same bottle on another machine, over a real sshd and with a real dockerd."""

import json
import os
import time

import pytest

import world as world_module
from far import Lines, agent_of, background, running, start, state_of, supervisor_of
from look import kill_for_sure, make_file
from printed import command_in, run_printed, stand_in


def test_the_workspace_is_sent_and_the_work_comes_home(remote, far):
    session = start(remote, far, "id -u; cat README.md; echo made >made.txt; git add -A; git -c user.name=a -c user.email=a@b commit -qm work; echo left >untracked.txt; exit 7")
    assert session.status == 7, session.explain()
    assert "# A project" in session.out
    refs = remote.git("for-each-ref", "--format=%(refname)", "refs/bottle").split()
    assert any(ref.endswith("/heads/main") for ref in refs), refs
    worktree = [ref for ref in refs if ref.endswith("/worktree")][0]
    assert remote.git("show", worktree + ":untracked.txt") == "left\n"
    assert remote.git("show", worktree + ":made.txt") == "made\n"
    assert remote.git("status", "--porcelain") == ""
    assert "The engine on %s confirmed that" % far.target in session.err, session.err


def test_the_far_guard_enforces_the_same_rules(remote, far):
    session = start(remote, far, "curl -sS https://allowed.example.org/; curl -sS -o /dev/null -w '%{http_code}' https://forbidden.example.net/; "
                                 "curl -sS --max-time 5 https://169.254.169.254/; curl -sS --max-time 5 https://machine.example.org/ || true",
                    egress={"allow": ["allowed.example.org", "machine.example.org"]})
    assert "allowed.example.org" in session.out, session.explain()
    assert session.denials("forbidden.example.net") and session.denials("169.254.169.254"), session.audit()
    assert "an address of the machine that the guard runs on" in session.denials("machine.example.org")[0]["reason"], session.audit()
    assert "bottle allow --bottle b --save HOST" in session.err, session.explain()


def test_a_broken_connection_is_reestablished_without_loss(remote, far, until):
    child = background(remote, far, "i=0; while [ ! -e /tmp/go ]; do echo line $((i += 1)); sleep 0.25; done; exit 3")
    out, err = Lines(child), Lines(child, child.stderr)
    running(remote, until)
    for number in (1, 2):
        before = len(out.lines)
        assert until(lambda: len(out.lines) > before + 5, 60), err.lines
        far.kill_connections()
        assert until(lambda: sum("reconnected" in line for line in err.lines) >= number, 60), err.lines
    make_file(far, agent_of(remote), "/tmp/go")
    assert child.wait(360) == 3, err.all()
    out.all()
    assert len(out.lines) > 10 and out.lines == ["line %d" % i for i in range(1, len(out.lines) + 1)], out.lines


def test_checkpoints_bring_the_work_before_the_agent_has_ended(remote, far, until):
    child = background(remote, far, "echo early >early.txt; echo now; sleep 600")
    running(remote, until)
    session, _ = supervisor_of(remote)
    ref = "refs/bottle/%s/worktree" % session

    def saved():
        refs = remote.git("for-each-ref", "--format=%(refname)", ref).split()
        return refs and "early.txt" in remote.git("ls-tree", "--name-only", ref).split() and remote.git("show", ref + ":early.txt") == "early\n"
    assert until(saved, 90), "the first checkpoint may be from before the agent wrote the file"
    remote.bottle("stop", session, env=remote.extra_env)
    child.communicate(timeout=360)


def test_a_session_can_be_attached_to_after_the_near_side_died(remote, far, until):
    child = background(remote, far, "echo begun; echo waited >waited; until [ -e /tmp/go ]; do sleep 0.2; done; echo finished; exit 5")
    running(remote, until)
    _, supervisor = supervisor_of(remote)
    kill_for_sure(child.pid, supervisor)
    child.communicate()
    assert until(lambda: state_of(remote) == "unattended", 60)
    make_file(far, agent_of(remote), "/tmp/go")
    done = remote.bottle("attach", env=remote.extra_env, timeout=360)
    assert done.returncode == 5, done.stderr
    assert "begun" in done.stdout and "finished" in done.stdout, done.stdout
    worktree = [r for r in remote.git("for-each-ref", "--format=%(refname)", "refs/bottle").split() if r.endswith("/worktree")][0]
    assert remote.git("show", worktree + ":waited") == "waited\n"


def test_cleanup_ends_an_abandoned_session_and_brings_its_work_home(remote, far, until):
    child = background(remote, far, "echo precious >precious; echo made; sleep 600")
    assert child.stdout.readline() == "made\n", child.communicate()
    running(remote, until)
    _, supervisor = supervisor_of(remote)
    kill_for_sure(supervisor)
    child.communicate(timeout=360)
    done = remote.bottle("cleanup", env=remote.extra_env, timeout=360)
    assert done.returncode == 0, done.stderr
    assert "on its remote machine" in done.stdout
    worktree = [r for r in remote.git("for-each-ref", "--format=%(refname)", "refs/bottle").split() if r.endswith("/worktree")][0]
    assert remote.git("show", worktree + ":precious") == "precious\n"


def test_an_unresolvable_host_name_does_not_mean_that_the_session_is_gone(remote, far, until):
    """A laptop without a network resolves no names. The session on the far machine stays recorded."""
    path = far.path("ssh_config")
    before = open(path).read()
    named = before + "Host farbox\n  HostName %s\n  HostKeyAlias " + far.ip + "\n"
    try:
        with open(path, "w") as file:
            file.write(named % far.ip)
        child = background(remote, far, "echo precious >precious; echo made; sleep 600", target="far@farbox")
        assert child.stdout.readline() == "made\n", child.communicate()
        running(remote, until)
        session, supervisor = supervisor_of(remote)
        kill_for_sure(supervisor)
        child.communicate(timeout=360)
        far.kill_connections()
        with open(path, "w") as file:
            file.write(named % "nowhere..invalid")
        done = remote.bottle("cleanup", env=remote.extra_env, timeout=360)
        assert done.returncode == 125 and "cannot be resolved" in done.stderr + done.stdout, (done.stdout, done.stderr)
        assert remote.sessions() == [session]
        with open(path, "w") as file:
            file.write(named % far.ip)
        done = remote.bottle("cleanup", env=remote.extra_env, timeout=360)
        assert done.returncode == 0, done.stderr
    finally:
        with open(path, "w") as file:
            file.write(before)
    worktree = [r for r in remote.git("for-each-ref", "--format=%(refname)", "refs/bottle").split() if r.endswith("/worktree")][0]
    assert remote.git("show", worktree + ":precious") == "precious\n"


@pytest.mark.parametrize("record", [1, 2])
def test_the_near_supervisor_dies_before_the_agent_runs(remote, far, until, record):
    env = {"BOTTLE_TEST_KILL_AT_RECORD": str(record)}
    session = start(remote, far, "sleep 60", env=env)
    assert session.status == 125, session.explain()
    done = remote.bottle("cleanup", env=remote.extra_env, timeout=360)
    assert done.returncode == 0, done.stderr
    assert remote.sessions() == []


def test_the_account_of_the_work_is_home_before_the_machine_may_forget_it(remote, far, until):
    """The near supervisor dies immediately after the record that the work is home, which is its last one. What came home,
    and what to look at in it, is already in the result."""
    for record in range(9, 2, -1):  # a record that does not exist ends nothing
        start(remote, far, "echo kept >kept.txt; echo '[core]' >.gitmodules; mkdir tool; git init -q tool", env={"BOTTLE_TEST_KILL_AT_RECORD": str(record)})
        if remote.sessions():
            break
    state, name = remote.world.state(remote.home), remote.sessions()[0]
    with open(os.path.join(state, "sessions", name, "ledger")) as file:
        assert json.loads(file.read().splitlines()[-1]) == {"home": True}
    with open(os.path.join(state, "results", name, "result.json")) as file:
        result = json.load(file)
    assert result["back"]["refs"] and result["back"]["flagged"] and result["back"]["archive"] and not result["receipt"]["confirmed"], result
    done = remote.bottle("cleanup", env=remote.extra_env, timeout=360)
    assert done.returncode == 0, done.stderr
    with open(os.path.join(state, "results", name, "result.json")) as file:
        result = json.load(file)
    assert result["back"]["refs"] and result["back"]["flagged"] and result["receipt"]["confirmed"], result


def test_the_connection_dies_while_the_session_starts(remote, far, until):
    for delay in (0.2, 0.5, 0.9, 1.3):
        child = background(remote, far, "sleep 600")
        time.sleep(delay)
        far.kill_connections()
        deadline = time.time() + 90
        while child.poll() is None and time.time() < deadline and state_of(remote) != "running":
            time.sleep(0.2)
        if child.poll() is None:  # the start was faster than this test, so it is an ordinary running session
            for session in remote.sessions():
                remote.bottle("stop", session, env=remote.extra_env)
        _, err = child.communicate(timeout=360)
        assert child.returncode in (125, 143, 137), err
        assert until(lambda: not far.left() and remote.sessions() == [], 30), "%s %s\n%s" % (far.left(), remote.sessions(), err)


def test_a_changed_host_key_is_refused_regardless_of_the_configuration(remote, far):
    known = open(far.path("known_hosts")).read()
    try:
        other = open(far.path("client_key.pub")).read().split()
        with open(far.path("known_hosts"), "w") as file:
            file.write("%s %s %s\n" % (far.ip, other[0], other[1]))
        session = start(remote, far, "true")
        assert session.status == 125 and "different host key" in session.err, session.explain()
        # The real one would change the file of the user who runs the tests, whatever HOME is.
        path = stand_in(remote, "ssh-keygen", 'echo "$*"\n')
        assert run_printed(remote, command_in(session.err, "ssh-keygen"), PATH=path).stdout == "-R %s\n" % far.ip
        open(far.path("known_hosts"), "w").close()
        session = start(remote, far, "true")
        assert session.status == 125 and "host key of" in session.err and "not known" in session.err, session.explain()
    finally:
        with open(far.path("known_hosts"), "w") as file:
            file.write(known)


def test_a_machine_behind_a_jump_host(remote, far):
    """The operator's ssh configuration reaches the machine by ProxyJump. The near side has no direct route to its
    address."""
    inner = "10.66.0.2"
    world_module.run("ip", "-n", far.ns, "addr", "add", inner + "/32", "dev", "lo")
    try:
        far.stop_sshd()
        far.configure_sshd(ListenAddress="0.0.0.0")
        far.start_sshd()
        key = " ".join(open(far.path("host_key.pub")).read().split()[:2])
        with open(far.path("known_hosts"), "a") as file:
            file.write("%s %s\n" % (inner, key))
        with open(far.path("ssh_config"), "a") as file:
            file.write("Host %s\n  ProxyJump %s\n" % (inner, far.target))
        session = remote.start("cat README.md; echo made >made.txt; exit 4", "--remote", "far@" + inner, env=remote.extra_env, timeout=300)
        assert session.status == 4 and "# A project" in session.out, session.explain()
        assert "The engine on far@%s confirmed that" % inner in session.err, session.explain()
        worktree = [r for r in remote.git("for-each-ref", "--format=%(refname)", "refs/bottle").split() if r.endswith("/worktree")][0]
        assert remote.git("show", worktree + ":made.txt") == "made\n"
        assert "direct-tcpip" in open(far.path("sshd.log")).read(), "by way of the other one"
    finally:
        far.operator_ssh()
        far.stop_sshd()
        far.configure_sshd()
        far.start_sshd()
        world_module.run("ip", "-n", far.ns, "addr", "del", inner + "/32", "dev", "lo", check=False)


def test_ssh_forwards_nothing_and_a_target_is_never_an_option(remote, far):
    session = start(remote, far, "true")
    assert session.status == 0, session.explain()
    log = open(far.path("sshd.log")).read()
    assert "req auth-agent" not in log and "req x11" not in log, log[-2000:]
    for target in ("-oProxyCommand=touch /tmp/x@h", "far@h;id", "far@-v"):
        done = remote.bottle("start", "a", "--yes", "--headless", "-p", "x", "--remote=" + target, env=remote.extra_env, config=remote.config())
        assert done.returncode == 125 and "user@host" in done.stderr, done.stderr


def test_bind_is_refused_for_another_machine(remote, far):
    session = start(remote, far, "true", workspace="bind")
    assert session.status == 125 and "bind" in session.err, session.explain()


def test_remote_check_describes_the_machine(remote, far):
    done = remote.bottle("remote", "check", far.target, "--json", env=remote.extra_env)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {f["code"]: f["severity"] for f in json.loads(done.stdout)["findings"]}
    assert found["engine"] == "ok" and found["clock"] == "ok" and found["memory"] in ("ok", "warn"), found
    info = far.engine("GET", "/info")
    assert found["limits"] == ("ok" if info["MemoryLimit"] and info["CpuCfsQuota"] and info["PidsLimit"] else "warn"), (found, info)
    assert found["seccomp"] == ("ok" if any(o.startswith("name=seccomp") for o in info["SecurityOptions"]) else "warn"), (found, info["SecurityOptions"])
    assert found["storage"] == ("ok" if info["Driver"] in ("overlay2", "overlayfs") else "warn"), (found, info["Driver"])
    assert found["cgroup"] == "ok" and info["CgroupDriver"] in done.stdout, done.stdout


def test_a_remote_machine_without_an_engine(remote, far):
    far.world._end(far.dockerd)
    try:
        session = start(remote, far, "true")
        assert session.status == 125 and "no container engine on" in session.err, session.explain()
        assert "remote setup" in session.err
        done = remote.bottle("remote", "check", far.target, env=remote.extra_env)
        assert done.returncode == 1 and "FAIL" in done.stdout, done.stdout
    finally:
        far.restart_dockerd()


def test_the_far_side_stops_an_agent_that_fills_its_disk(remote, far):
    script = "echo made >made.txt; dd if=/dev/zero of=/tmp/a bs=1M count=80 status=none; sync; sleep 250; echo the agent was not stopped"
    session = start(remote, far, script, resources={"disk": "64m"})
    assert session.status == 125 and "not stopped" not in session.out, session.explain()
    assert "more than the 64 MiB of `resources.disk`, and was stopped" in session.err, session.explain()
    assert json.loads(remote.bottle("logs", "--json").stdout)["limit"] == "resources.disk"
    worktree = [ref for ref in remote.git("for-each-ref", "--format=%(refname)", "refs/bottle").split() if ref.endswith("/worktree")][0]
    assert remote.git("show", worktree + ":made.txt") == "made\n"


def test_record_mode_writes_the_rules_on_this_machine(remote, far):
    session = start(remote, far, "curl -sS -m 30 -o /dev/null -w 'status %{http_code}' http://forbidden.example.net/", "--record")
    assert "status 200" in session.out, session.explain()
    name = [line.split("(session ")[1].split(")")[0] for line in session.err.splitlines() if "(session " in line][0]
    with open(os.path.join(remote.world.state(remote.home), "results", name, "allow.yaml")) as file:
        assert [line.strip() for line in file if line.strip().startswith("- ")] == ["- forbidden.example.net"], session.explain()
