"""Lists what exists on the engine, among the processes and in the results. The tests of teardown, crashes and faults
share these functions."""

import contextlib
import glob
import json
import os
import signal

import world as world_module
from operators import wait_for
from world import is_alive, run


def everything(world):
    """Returns everything that the engine has, except images."""
    return (sorted(c["Names"][0] for c in world.engine("GET", "/containers/json?all=1")),
            sorted(n["Name"] for n in world.engine("GET", "/networks")),
            sorted(v["Name"] for v in world.engine("GET", "/volumes").get("Volumes") or []))


def processes(operator, program=None):
    """Returns the ids and the arguments of the processes in whose environment HOME is this operator's. With `program`,
    returns only those that run a program of this name."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if program and os.path.basename(os.readlink("/proc/%s/exe" % pid)) != program:
                continue
            if ("HOME=" + operator.home).encode() in open("/proc/%s/environ" % pid, "rb").read().split(b"\0"):
                found.append((int(pid), open("/proc/%s/cmdline" % pid, "rb").read().split(b"\0")))
    return found


def processes_of(operator):
    """Returns the bottle processes that use this operator's state."""
    return processes(operator, "bottle")


def reapers_of(operator):
    """Returns the ids of the processes that destroy this operator's VMs when they expire."""
    return [pid for pid, argv in processes(operator) if argv[1:2] == [b"reap"]]


def refs_of_work(operator):
    """Returns the refs with the files that no commit had, newest first."""
    refs = operator.git("for-each-ref", "--sort=-creatordate", "--format=%(refname)", "refs/bottle").split()
    return [ref for ref in refs if ref.endswith("/worktree")]


def kill_all(operator):
    """Kills all bottle processes of the operator with SIGKILL, and waits until they are dead."""
    kill_for_sure(*(pid for pid, _ in processes_of(operator)))


def kill_for_sure(*killed):
    """Kills processes with SIGKILL, and waits until they are dead: until then they hold their locks and names."""
    for pid in killed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: not any(map(is_alive, killed)), 20), killed


def kill_everything(operator, launcher):
    """Does the same, also with a launcher that is still nsenter, and with what starts meanwhile."""
    launcher.kill()
    while processes_of(operator):
        kill_all(operator)


def kill(pids, sign=signal.SIGKILL):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sign)


def standing(pids):
    """Returns the processes that are stopped."""
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):
            if open("/proc/%d/stat" % pid).read().rpartition(")")[2].split()[0] == "T":
                found.append(pid)
    return found


def supervisors_of(operator):
    """Returns the supervisors. A child of a supervisor looks like one until it executes its own program."""
    found = {pid for pid, argv in processes_of(operator) if argv[1:2] == [b"supervise"]}
    return [pid for pid in sorted(found) if parent_of(pid) not in found]


def parent_of(pid):
    """Returns the id of a process's parent, or None if the process has ended."""
    with contextlib.suppress(OSError), open("/proc/%d/stat" % pid) as file:
        return int(file.read().rpartition(")")[2].split()[1])


def descendants(pids):
    """Returns the ids of these processes and of all that descend from them."""
    parents = {int(pid): parent_of(int(pid)) for pid in filter(str.isdigit, os.listdir("/proc"))}
    known = set(pids)
    while more := {pid for pid, parent in parents.items() if parent in known and pid not in known}:
        known |= more
    return known


def containers(world, role=None):
    """Returns the running containers of one role."""
    return [c for c in world.engine("GET", "/containers/json") if role is None or c["Labels"].get("bottle.role") == role]


def make_file(machine, container, path):
    """Makes a file that the agent in a container waits for. `machine` is the world, or another machine of it. The agent
    may end before the program that makes the file does, and the container's end kills that program."""
    done = run("docker", "-H", "unix://" + machine.socket, "exec", container, "touch", path, check=False)

    def runs():
        return any(container in (c["Id"], c["Names"][0].lstrip("/")) for c in machine.engine("GET", "/containers/json"))
    assert done.returncode == 0 or wait_for(lambda: not runs(), 20), done


def running(operator, until):
    """Waits until the agent of the operator's only session runs. (Its container runs much earlier.)"""
    def ready():
        for name in operator.sessions():
            try:
                with open(os.path.join(operator.world.state(operator.home), "sessions", name, "info.json")) as file:
                    return json.load(file).get("state") == "running"
            except FileNotFoundError:
                pass
        return False
    assert until(ready, 60), "the agent never ran"


def written(operator, until, path="/workspace/kept.txt"):
    """Waits until the agent has made a file with some content."""
    def there():
        try:
            [agent] = containers(operator.world, "agent")
            archive = operator.world.engine("GET", "/containers/%s/archive?path=%s" % (agent["Id"], path), raw=True)
            return int(archive[124:135], 8) > 0  # the size in the header of a tar archive
        except ValueError:
            return False
    assert until(there, 60), "the agent never made " + path


def state_files(operator):
    """Returns all files under the operator's state directory, except results, the name of the machine and the record of tried runtimes."""
    top = operator.world.state(operator.home)
    found = []
    for where, directories, files in os.walk(top):
        if where == top and "results" in directories:
            directories.remove("results")
        found += [os.path.relpath(os.path.join(where, name), top) for name in files + directories]
    return sorted(name for name in found if name not in ("sessions", "graves", "runtimes.json", "machine"))


def came_home(operator, path):
    """Returns the contents of a file in the refs that came home, and in the directory `filtered` if a git filter
    converts it."""
    refs = operator.git("for-each-ref", "--format=%(refname)", "refs/bottle").split()
    texts = []
    for ref in refs:
        if path in operator.git("ls-tree", "-r", "--name-only", ref).split("\n"):
            texts.append(operator.git("show", "%s:%s" % (ref, path)))
    for beside in sorted(glob.glob(os.path.join(operator.world.state(operator.home), "results", "*", "filtered", path))):
        with open(beside) as file:
            texts.append(file.read())
    return texts


def masters(world, directory):
    """Returns the ssh processes of this operator: those that hold connections, and those that use them."""
    found = []
    for pid in world_module.run("ip", "netns", "pids", world.host_ns).stdout.split():
        with contextlib.suppress(OSError):
            if open("/proc/%s/comm" % pid).read() == "ssh\n" and directory in open("/proc/%s/cmdline" % pid).read():
                found.append(int(pid))
    return found
