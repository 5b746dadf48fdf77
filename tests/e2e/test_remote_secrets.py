"""Tests where a token's value is while its agent works on another machine: in the memory of the processes that need it,
and nowhere else."""

import base64
import contextlib
import os
import signal
import subprocess
import tempfile
import time

import test_secrets
import world as world_module
from look import descendants
from test_remote import far, remote  # noqa: F401  (fixtures)

SECRET = {"claude-oauth": {"from": "env:CLAUDE_BOTTLE_OAUTH_TOKEN", "hosts": ["inspected.example.org"], "env": "TOKEN", "header": "Authorization: Bearer {}"}}
EGRESS = {"allow": ["allowed.example.org", "inspected.example.org"]}
ASK = 'curl -sS -m 30 -o /dev/null -w "status %{http_code}\\n" -H "Authorization: Bearer $TOKEN" https://inspected.example.org/'


def forms(value):
    """Returns the value as it is, and in Base64 at every alignment."""
    found = [value.encode()]
    for before in range(3):
        text = base64.b64encode(b"x" * before + value.encode())
        found.append(text[(0, 2, 3)[before] + 2:-4])
    return found


def files_with(needles, *roots):
    """Returns the files below the roots that contain a needle. grep reads Docker's data faster than Python does."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as patterns:
        patterns.write(b"\n".join(needles))
        patterns.flush()
        done = subprocess.run(["grep", "-rlaF", "--devices=skip", "-f", patterns.name, *[r for r in roots if os.path.exists(r)], "/dev/null"], capture_output=True, text=True)
    return done.stdout.splitlines()


def processes(far):
    """Returns the processes in the far machine's namespace, and their descendants."""
    return descendants(far.pids())


def name_of(pid):
    try:
        return os.path.basename(os.readlink("/proc/%d/exe" % pid))
    except OSError:
        return ""


def in_memory(pid, needles):
    """Returns whether the process's writable memory contains one of the needles."""
    try:
        with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb", 0) as memory:
            for line in maps:
                span, rights = line.split()[:2]
                begin, end = (int(x, 16) for x in span.split("-"))
                if "w" not in rights or end - begin > 64 << 20:
                    continue
                try:
                    memory.seek(begin)
                    data = memory.read(end - begin)
                except (OSError, ValueError):
                    continue
                if any(n in data for n in needles):
                    return True
    except OSError:
        pass
    return False


def everywhere(remote, far, value):
    """Returns all places that hold the value, except memory: of the far machine, and of the near side's state."""
    needles, far_uid = forms(value), os.stat(far.home).st_uid
    found = []
    for pid in processes(far):
        for part in ("cmdline", "environ"):
            try:
                if any(n in open("/proc/%d/%s" % (pid, part), "rb").read() for n in needles):
                    found.append("%s of %s" % (part, name_of(pid)))
            except OSError:
                pass
    found += files_with(needles, far.home, far.path("data"), far.path("exec"), far.path("sshd.log"), far.path("dockerd.log"))
    # The far machine shares /tmp with this one, so this looks only at the files of its user.
    found += files_with(needles, *[entry.path for entry in os.scandir("/tmp") if owner_of(entry) == far_uid])
    for container in far.engine("GET", "/containers/json?all=1"):
        with contextlib.suppress(ValueError):  # it may be gone, as one that counts what the agent has written
            text = far.engine("GET", "/containers/%s/json" % container["Id"], raw=True).encode()
            found += ["inspect of " + container["Names"][0]] if any(n in text for n in needles) else []
    found += files_with(needles, remote.home, remote.workspace)
    return found


def owner_of(entry):
    """Returns the owner of a file, or nothing if another test has removed it."""
    with contextlib.suppress(FileNotFoundError):
        return entry.stat(follow_symlinks=False).st_uid


def holders_of(pids, value):
    """Returns the names of the processes that have the value in their memory."""
    names = {pid: name_of(pid) for pid in pids}  # before they can end
    return {names[pid] for pid in pids if names[pid] and in_memory(pid, [value.encode()])}


def working(far):
    return [c for c in far.engine("GET", "/containers/json") if c["Labels"].get("bottle.role") == "agent"]


def begin(remote, far, script, *args, env=None, token=True, egress=None, secrets=None, **config):
    environment = {**remote.world.environment(remote.config(secrets=secrets or SECRET, egress={**EGRESS, **(egress or {})}, **config), remote.home, token=token), **remote.extra_env, **(env or {})}
    script = '[ "$BOTTLE_TEST" = inside ] || exit 99\n' + script
    return subprocess.Popen(remote.world.command("start", "a", "--yes", "--headless", "-p", script, "--remote", far.target, *args), cwd=remote.workspace, env=environment,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def looked_for(remote, far, until, *args, **options):
    """Runs an agent that uses the token. Returns what was found while it worked, and afterwards."""
    since = time.time()
    process = begin(remote, far, ASK + "; sleep 300", *args, **options)
    try:
        until(lambda: remote.world.seen("inspected.example.org", since) or process.poll() is not None, 120)
        holders = holders_of(processes(far), remote.world.token)
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


def restart_sshd(far, **options):
    far.stop_sshd()
    far.configure_sshd(**options)
    far.start_sshd()


def in_memory_only(far, during, holders, after):
    """The guard and the far supervisor keep the value. It passed through sshd, and through the engine to the guard's
    stdin."""
    program = os.listdir(os.path.join(far.home, ".cache", "bottle"))
    assert during == [] and after == []
    assert "guard" in holders and holders & set(program), holders  # shows that the search works
    assert holders <= {"guard", *program, "sshd", "dockerd", "containerd", "containerd-shim-runc-v2"}, holders


def test_a_secret_sent_over_stdin_stays_in_memory(remote, far, until):  # noqa: F811
    during, holders, after = looked_for(remote, far, until)
    in_memory_only(far, during, holders, after)


def test_listed_secrets_do_not_leave_the_far_machine(remote, far):  # noqa: F811
    """The far guard also stops values of files and variables, and matches of the operator's rules. The values are on
    none of that machine's disks."""
    values, config = test_secrets.what_must_not_leave(remote)
    env = {**remote.extra_env, "MARKED_HERE": values["MARKED"]}
    session = test_secrets.start_with(remote, test_secrets.SEND_ALL, "--remote", far.target, variables=env, **config)
    test_secrets.check_nothing_left(session, values)
    value = values["prod.env:DB_PASSWORD"]
    ours = ("/prod.env", "/bottle.yaml")  # the file of secrets, and the encoded values that the agent sends
    assert [path for path in everywhere(remote, far, value) if not path.endswith(ours)] == []
    shown = remote.bottle("start", "a", "--dry-run", "--remote", far.target, "--secrets", "tunnel", config=remote.config(**config), env=env)
    assert "the values of scan.secrets stay on this machine with --secrets tunnel" in shown.stdout + shown.stderr, shown


def test_an_exposed_secret_leaves_only_for_its_hosts_through_a_tunnel(remote, far):  # noqa: F811
    secrets = {"open": {"from": "env:OPEN_HERE", "hosts": ["inspected.example.org"], "env": "OPEN", "expose": True}}
    hosts = {"inspected.example.org": world_module.SITES["inspected.example.org"] + ":443"}
    config = {"secrets": secrets, "egress": {**EGRESS, "hosts": hosts}}
    env = {**remote.extra_env, "OPEN_HERE": os.urandom(12).hex() + "Zq"}
    session = test_secrets.start_with(
        remote, "for url in http://allowed.example.org/ https://inspected.example.org/; do "
        "curl -sS -m 30 -o /dev/null -w 'status %{http_code}\\n' -H \"X: $OPEN\" -d \"x=$OPEN\" $url; done",
        "--remote", far.target, "--secrets", "tunnel", variables=env, **config)
    assert [line for line in session.out.splitlines() if line.startswith("status")] == ["status 403", "status 200"], session.explain()
    assert "the value of secret open goes to the remote machine" in session.out + session.err, session.explain()


def test_a_secret_is_sent_with_sendenv(remote, far, until):  # noqa: F811
    # A default sshd drops the variable silently. bottle reports it.
    restart_sshd(far, AcceptEnv="LANG LC_*")
    session = remote.start(ASK, "--remote", far.target, "--token-via", "sendenv", secrets=SECRET, egress=EGRESS, env=remote.extra_env)
    assert session.status == 125, session.explain()
    assert "AcceptEnv BOTTLE_TOKEN" in session.err and remote.world.token not in session.err, session.explain()
    assert far.left() == [] and remote.sessions() == []
    restart_sshd(far, AcceptEnv="LANG LC_* BOTTLE_TOKEN")
    during, holders, after = looked_for(remote, far, until, "--token-via", "sendenv")
    in_memory_only(far, during, holders, after)


def test_a_secret_is_read_from_a_file_of_the_provider(remote, far, until):  # noqa: F811
    path = os.path.join(far.home, "token")
    with open(path, "w") as file:
        file.write(remote.world.token + "\n")
    os.chown(path, os.stat(far.home).st_uid, -1)
    during, holders, after = looked_for(remote, far, until, "--token-file", "~/token", token=False)
    assert not os.path.exists(path)
    in_memory_only(far, during, holders, after)


def test_a_token_file_that_cannot_be_removed_is_refused(remote, far):  # noqa: F811
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


def test_the_variable_is_not_inherited_by_ssh(remote, far, until):  # noqa: F811
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
