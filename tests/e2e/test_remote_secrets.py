"""Tests where a token's value is while its agent works on another machine: in the memory of the processes that need it,
and nowhere else."""

import contextlib
import os
import signal
import time

import world as world_module
from far import restart_sshd
from values import (ASK, EGRESS, SECRET, SEND_ALL, begin, check_nothing_left, everywhere, holders_of, name_of, processes_on, start_with,
                    what_must_not_leave)


def working(far):
    return [c for c in far.engine("GET", "/containers/json") if c["Labels"].get("bottle.role") == "agent"]


def looked_for(remote, far, until, *args, **options):
    """Runs an agent that uses the token. Returns what was found while it worked, and afterward."""
    since = time.time()
    process = begin(remote, far, ASK + "; sleep 300", *args, **options)
    try:
        until(lambda: remote.world.seen("inspected.example.org", since) or process.poll() is not None, 120)
        holders = holders_of(processes_on(far), remote.world.token)
        during = everywhere(remote, far, remote.world.token)
        alive = process.poll() is None
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=360)
    assert alive and "status 200" in out, (process.returncode, out, err)
    sent = [r["headers"] for r in remote.world.seen("inspected.example.org", since)]
    assert [h.get("Authorization") for h in sent] == ["Bearer " + remote.world.token], sent
    assert remote.world.token not in out + err
    return during, holders, everywhere(remote, far, remote.world.token)


def in_memory_only(far, during, holders, after):
    """The guard and the far supervisor keep the value. It passed through sshd, and through the engine to the guard's
    stdin."""
    program = os.listdir(os.path.join(far.home, ".cache", "bottle"))
    assert during == [] and after == []
    assert "guard" in holders and holders & set(program), holders  # shows that the search works
    assert holders <= {"guard", *program, "sshd", "dockerd", "containerd", "containerd-shim-runc-v2"}, holders


def test_a_secret_sent_over_stdin_stays_in_memory(remote, far, until):
    during, holders, after = looked_for(remote, far, until)
    in_memory_only(far, during, holders, after)


def test_listed_secrets_do_not_leave_the_far_machine(remote, far):
    """The far guard also stops values of files and variables, and matches of the operator's rules. The values are on
    none of that machine's disks."""
    values, config = what_must_not_leave(remote)
    env = {**remote.extra_env, "MARKED_HERE": values["MARKED"]}
    session = start_with(remote, SEND_ALL, "--remote", far.target, variables=env, **config)
    check_nothing_left(session, values)
    value = values["prod.env:DB_PASSWORD"]
    ours = ("/prod.env", "/bottle.yaml")  # the file of secrets, and the encoded values that the agent sends
    assert [path for path in everywhere(remote, far, value) if not path.endswith(ours)] == []
    shown = remote.bottle("start", "a", "--dry-run", "--remote", far.target, "--secrets", "tunnel", config=remote.config(**config), env=env)
    assert "the values of scan.secrets stay on this machine with --secrets tunnel" in shown.stdout + shown.stderr, shown


def test_an_exposed_secret_leaves_only_for_its_hosts_through_a_tunnel(remote, far):
    secrets = {"open": {"from": "env:OPEN_HERE", "hosts": ["inspected.example.org"], "env": "OPEN", "expose": True}}
    hosts = {"inspected.example.org": world_module.SITES["inspected.example.org"] + ":443"}
    config = {"secrets": secrets, "egress": {**EGRESS, "hosts": hosts}}
    env = {**remote.extra_env, "OPEN_HERE": os.urandom(12).hex() + "Zq"}
    session = start_with(
        remote, "for url in http://allowed.example.org/ https://inspected.example.org/; do "
        "curl -sS -m 30 -o /dev/null -w 'status %{http_code}\\n' -H \"X: $OPEN\" -d \"x=$OPEN\" $url; done",
        "--remote", far.target, "--secrets", "tunnel", variables=env, **config)
    assert [line for line in session.out.splitlines() if line.startswith("status")] == ["status 403", "status 200"], session.explain()
    assert "the value of secret open goes to the remote machine" in session.out + session.err, session.explain()


def test_a_secret_is_sent_with_sendenv(remote, far, until):
    # A default sshd drops the variable silently. bottle reports it.
    restart_sshd(far, AcceptEnv="LANG LC_*")
    session = remote.start(ASK, "--remote", far.target, "--token-via", "sendenv", secrets=SECRET, egress=EGRESS, env=remote.extra_env)
    assert session.status == 125, session.explain()
    assert "AcceptEnv BOTTLE_TOKEN" in session.err and remote.world.token not in session.err, session.explain()
    assert far.left() == [] and remote.sessions() == []
    restart_sshd(far, AcceptEnv="LANG LC_* BOTTLE_TOKEN")
    during, holders, after = looked_for(remote, far, until, "--token-via", "sendenv")
    in_memory_only(far, during, holders, after)


def test_a_secret_is_read_from_a_file_of_the_provider(remote, far, until):
    path = os.path.join(far.home, "token")
    with open(path, "w") as file:
        file.write(remote.world.token + "\n")
    os.chown(path, os.stat(far.home).st_uid, -1)
    during, holders, after = looked_for(remote, far, until, "--token-file", "~/token", token=False)
    assert not os.path.exists(path)
    in_memory_only(far, during, holders, after)


def test_a_token_file_that_cannot_be_removed_is_refused(remote, far):
    where = far.path("kept")
    os.makedirs(where, exist_ok=True)
    path = os.path.join(where, "token")
    with open(path, "w") as file:
        file.write(remote.world.token)
    os.chown(path, os.stat(far.home).st_uid, -1)
    try:
        session = remote.start("echo ran", "--remote", far.target, "--token-via", "provider", "--token-file", path, secrets=SECRET, env=remote.extra_env)
        assert session.status == 125 and "could not be removed" in session.err and "ran" not in session.out, session.explain()
        assert far.left() == []
        assert remote.world.token.encode() not in open(path, "rb").read()
        session = remote.start("echo ran", "--remote", far.target, "--token-via", "provider", "--token-file", path + "-not-there", secrets=SECRET, env=remote.extra_env)
        assert session.status == 125 and "not-there" in session.err, session.explain()
    finally:
        os.unlink(path)


def test_the_variable_is_not_inherited_by_ssh(remote, far, until):
    def holders():
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if remote.world.token.encode() in open("/proc/%s/environ" % pid, "rb").read():
                    found[pid] = name_of(int(pid))
        return found

    before = holders()  # an ssh process of the previous test may still be ending
    session = remote.start("true", "--remote", far.target, secrets=SECRET, env=remote.extra_env)
    assert session.status == 0, session.explain()
    assert "ssh" not in {name for pid, name in holders().items() if pid not in before}
    assert until(lambda: holders().keys() <= before.keys(), 60), holders()  # the supervisor reports its result before it exits
