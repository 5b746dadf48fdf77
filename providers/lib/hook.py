"""This module contains what the providers in the other directories share: the hook's side of the contract in
docs/providers.md.

A provider is a class with the methods create, ssh_info, status, destroy and list_. Each returns the answer that main()
prints as JSON. A provider uses the cloud's own command-line tool, so that the operator's sign-in, profile and region
apply. It needs Python 3.8 or newer and only the standard library."""

import datetime
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from owner import OWNER, SESSION, VM, ours  # noqa: E402

FAILED, CANNOT, AGAIN, DENIED, NOT_SET_UP = 1, 73, 75, 77, 78


class Stop(Exception):
    """Ends the hook with this exit status and this message for the operator."""

    def __init__(self, status, what):
        super().__init__(what)
        self.status, self.what = status, what


class Failure(Exception):
    """The tool reported a failure. `code` is the cloud's own name for it, or '' if it has none."""

    def __init__(self, what, code=""):
        super().__init__(what)
        self.what, self.code = what, code


def env(name, default=None):
    value = os.environ.get(name, "")
    if value:
        return value
    if default is None:
        raise Stop(FAILED, name + " is not set; bottle sets it when it runs a hook, see docs/providers.md")
    return default


def number(name):
    text = env(name, "0")
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise Stop(FAILED, "%s is not a number: %r" % (name, text))
    return int(text)


def option(key, default=""):
    """Returns vms.<name>.options.<key> of the manifest."""
    return os.environ.get("BOTTLE_OPT_" + key.upper().replace("-", "_"), "") or default


def need_option(key, why):
    value = option(key)
    if not value:
        raise Stop(NOT_SET_UP, "set options.%s in the manifest: %s" % (key, why))
    return value


def name():
    value = env("BOTTLE_VM_NAME")
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,38}[a-z0-9]", value):
        raise Stop(FAILED, "%r is not a valid name for a machine; use up to 40 letters, digits and dashes, and begin with a letter" % value)
    return value


def known_name():
    """Returns the name, or '' if only an id is known. Accepts names of which `create` makes no machine, so that
    `status` and `destroy` can say that there is none."""
    value = os.environ.get("BOTTLE_VM_NAME", "")
    if value and not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", value):
        raise Stop(FAILED, "%r is not a valid name for a machine" % value)
    return value


def known_id():
    value = os.environ.get("BOTTLE_VM_ID", "")
    if value and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,200}", value):
        raise Stop(FAILED, "%r is not a valid id for a machine" % value)
    return value


def user():
    return option("user") or env("BOTTLE_SSH_USER", "bottle")


def labels():
    """Returns the labels that everything made for this VM gets."""
    found = {SESSION: env("BOTTLE_SESSION"), OWNER: env("BOTTLE_OWNER"), VM: name()}
    for key, value in found.items():
        if not re.fullmatch(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?", value):
            raise Stop(FAILED, "%r is not a valid value for a label (%s)" % (value, key))
    return found


def only_ours(things, labels_of):
    """Returns those things that this owner's bottle made. `labels_of` returns the labels of a thing."""
    return [thing for thing in things if ours(labels_of(thing))]


def check_ours(what, found):
    """Exits if the labels `found` say that the thing is not ours. `what` names the thing, which was asked for by its id."""
    if SESSION not in found:
        raise Stop(FAILED, "%s does not have the label %s, so bottle did not make it and leaves it alone" % (what, SESSION))
    if not ours(found):
        raise Stop(FAILED, "%s belongs to another owner (%s=%s), so it is left alone" % (what, OWNER, found.get(OWNER, "")))


def check_free(things, labels_of):
    """Exits if one of these things, which have this VM's name, belongs to another owner. `create` calls this before it
    makes anything."""
    others = [labels_of(thing) for thing in things if not ours(labels_of(thing))]
    if others:
        raise Stop(FAILED, "there is already a VM %s of another owner (%s=%s), which is left alone; use another name" %
                   (name(), OWNER, others[0].get(OWNER, "")))


def public_key():
    with open(env("BOTTLE_SSH_PUBLIC_KEY"), encoding="ascii") as f:
        return f.read().strip()


def tool(command, install):
    """Returns the path of the command. If it is missing, exits with 78 and says how to install it."""
    path = shutil.which(command)
    if not path:
        raise Stop(NOT_SET_UP, "%s is not installed: %s" % (command, install))
    return path


class Done:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def words(self):
        return (self.err.strip() or self.out.strip())[-2000:]

    def json(self):
        try:
            return json.loads(self.out)
        except ValueError:
            raise Stop(FAILED, "the tool's answer is not JSON: %r" % self.out[:200]) from None


def run(argv, stdin=b"", timeout=50, more_env=None):
    """Runs a tool to its end. If it takes longer than `timeout` seconds, ends the tool, and ends the hook with "try
    again". The cloud goes on with what the tool asked for. The tool has its own process group, so that nothing it
    started outlives it, and no terminal on which it could ask questions."""
    environment = dict(os.environ, LC_ALL="C.UTF-8", **(more_env or {}))
    _still_creating()
    child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
                             start_new_session=True)
    _children.add(child)
    try:
        out, err = child.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired:
        _end(child)
        raise Stop(AGAIN, "%s did not end within %d s" % (os.path.basename(argv[0]), timeout)) from None
    finally:
        _children.discard(child)
    return Done(child.returncode, out.decode(errors="replace"), err.decode(errors="replace"))


_children = set()


def _end(child):
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()


def _on_signal(number_, _frame):
    for child in list(_children):
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    os._exit(128 + number_)


def together(*calls):
    """Runs the calls in parallel, because tools start slowly. Returns their results in order."""
    with ThreadPoolExecutor(max(1, min(8, len(calls)))) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


# Each cloud words its failures differently. The order matters: "rate limit exceeded" is not an exhausted quota, and a
# message about a quota may say "try again later".
RULES = [
    (AGAIN, r"throttl|rate.{0,4}limit|too many requests|\b429\b"),
    (CANNOT, r"quota|limit.{0,12}exceeded|exceeded.{0,12}limit|insufficient.{0,20}capacity|out of (stock|capacity)|stockout|resource_?pool_?exhausted"
             r"|does not have enough resources|account limit"),
    (AGAIN, r"\b50[0234]\b|service.?unavailable|internal.?(server )?error|bad gateway"
            r"|temporarily|timed? ?out|timeout|connection (refused|reset|closed)|could not connect|no route to host|unexpected eof|try again"
            r"|name resolution|no such host"),
    (DENIED, r"unauthori[sz]ed|forbidden|permission|denied|credential|not logged in|log ?in again|invalid.{0,12}token|\b40[13]\b|authenticat"
             r"|access token"),
]


def judge(text, rules=RULES):
    for status, pattern in rules:
        if re.search(pattern, text, re.I | re.S):
            return status
    return FAILED


# ---- an interrupted create ----
#
# If `create` is killed between its request and the answer, the request is still in flight: a cloud may show the machine
# only seconds later. Until then, no hook may say "gone". A file in the state directory records this state. It is
# touched before each step of `create` and removed at the end.

_IN_FLIGHT_SECONDS = 20
_creating = False


def _mark():
    directory = os.environ.get("BOTTLE_STATE_DIR", "")
    return os.path.join(directory, "create-under-way") if directory and os.path.isdir(directory) else ""


def _still_creating():
    if _creating and _mark():
        with open(_mark(), "w", encoding="ascii"):
            pass


def _create(provider, call):
    global _creating
    if _place_of and _place_file():
        _check_place()
        place = _place_of()
        if place:
            _record_place(place)
    _creating = True
    try:
        answer = call()
    except (Stop, Failure) as error:
        if status_of(provider, error) != AGAIN:  # the cloud refused, so nothing is in flight
            came_true()
        raise
    came_true()
    return answer


def came_true():
    """Removes the file of an interrupted create: what `create` asked for is now visible to all hooks, or will never exist. One create makes one
    machine."""
    if _mark() and os.path.exists(_mark()):
        os.unlink(_mark())


def check_nothing_in_flight():
    """Exits with 75 while an interrupted create may still take effect. A hook must call this before it says that
    nothing exists."""
    _check_place()
    try:
        age = time.time() - os.stat(_mark()).st_mtime if _mark() else _IN_FLIGHT_SECONDS
    except FileNotFoundError:
        return
    if age < 0:
        # The clock was set back, so the time of the create is not known, and the wait begins now.
        os.utime(_mark())
        age = 0
    if age < float(os.environ.get("BOTTLE_IN_FLIGHT_SECONDS", _IN_FLIGHT_SECONDS)):
        raise Stop(AGAIN, "a create was interrupted %d s ago and may still take effect; bottle asks again" % age)


def gone():
    """Returns the final answer of destroy: nothing is left at the cloud or in the state directory."""
    check_nothing_in_flight()
    came_true()
    if _place_file() and os.path.exists(_place_file()):
        os.unlink(_place_file())
    return {"status": "gone"}


# ---- the place of a VM
#
# Another account, project or region does not have the VM, and its answers to destroy, status and list would agree that
# the VM is gone. So `create` records where it makes the VM before it asks for anything, and no hook says "gone"
# anywhere else. A VM of an earlier version has no such record.

_place_of = None  # returns where the hook is now, as a dict of short texts, or {} if nothing is selected


def _place_file():
    directory = os.environ.get("BOTTLE_STATE_DIR", "")
    return os.path.join(directory, "place") if directory and os.path.isdir(directory) else ""


def _recorded_place():
    try:
        with open(_place_file(), encoding="utf-8") as f:
            return json.load(f)
    except FileNotFoundError:
        return None
    except ValueError:
        raise Stop(NOT_SET_UP, "%s, which says where the VM was made, cannot be read" % _place_file()) from None


def _record_place(place):
    path = _place_file()
    with open(path + ".new", "w", encoding="utf-8") as f:
        json.dump(place, f)
        f.flush()
        os.fsync(f.fileno())
    os.rename(path + ".new", path)


def _check_place():
    """Exits with 78 if the VM was made in another place than the one that the hook asks now."""
    made = _recorded_place() if _place_of and _place_file() else None
    now = made and _place_of()
    if made and made != now:
        raise Stop(NOT_SET_UP, "the VM was made with %s, but the settings now select %s, where it cannot be found; switch back, or set "
                   "what the VM was made with in the environment or the options. If you are certain that it no longer exists, remove %s" %
                   (_words(made), _words(now), _place_file()))


def _words(place):
    return ", ".join("%s %s" % pair for pair in sorted(place.items())) or "nothing"


def found_here():
    """Says that `destroy` has found the machine. So this is its place, even if the sign-in is a new one for the same
    account, and what was asked for has come true."""
    came_true()
    if _place_of and _place_file() and os.path.exists(_place_file()):
        _record_place(_place_of())


def fingerprint(token):
    """Returns a text that differs for different tokens, and from which a token cannot be computed."""
    return hashlib.sha256(b"bottle place\n" + token.encode()).hexdigest()[:16]


def wait_for(seen, seconds, step=2.0):
    """Calls seen() every `step` seconds until it returns true, for at most `seconds`. Returns whether it did."""
    until = time.monotonic() + seconds
    while True:
        if seen():
            return True
        if time.monotonic() + step > until:
            return False
        time.sleep(step)


def patience():
    """Returns how many seconds destroy waits for the cloud before it answers "deleting". The limit of the hook is a
    minute."""
    return float(os.environ.get("BOTTLE_DESTROY_SECONDS", "35"))


def elapsed():
    """Returns the seconds since the hook began."""
    return time.monotonic() - _BEGAN


_BEGAN = time.monotonic()


def unless(pattern, call):
    """Returns the call's answer, or None if it failed with a message that matches `pattern`."""
    try:
        return call()
    except Failure as failure:
        if not re.search(pattern, failure.what, re.I):
            raise
        return None


def line(key, kind, status, labels, when):
    """Returns one entry of the answer of `list`. `labels` are those that `create` set, and `when` is the cloud's own
    time."""
    return {"id": key, "kind": kind, "status": status, "name": labels.get(VM, ""), "session": labels[SESSION], "owner": labels.get(OWNER, ""), **created(when or "")}


def leftovers(machines, things):
    """Returns the answer of `list`: the machines, and the things whose machine (by name) is not among them."""
    names = {machine["name"] for machine in machines if machine["name"]}
    return {"machines": machines + [thing for thing in things if thing["name"] not in names]}


def created(when):
    """Returns {"created": …} from a cloud's own time, in UTC, or {} if it cannot be read."""
    try:
        moment = datetime.datetime.fromisoformat(re.sub(r"\.\d+", "", when).replace("Z", "+00:00"))
    except ValueError:
        return {}
    if not moment.tzinfo:
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    return {"created": moment.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")}


HOOKS = {"create": "create", "ssh-info": "ssh_info", "status": "status", "destroy": "destroy", "list": "list_", "put-secret": "put_secret"}


def status_of(provider, error):
    if isinstance(error, Stop):
        return error.status
    return provider.judge(error) if hasattr(provider, "judge") else judge(error.what, getattr(provider, "judged_by", RULES))


def main(provider):
    """Runs the whole program. The first argument names the hook."""
    for number_ in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number_, _on_signal)
    global _place_of
    _place_of = getattr(provider, "place", None)
    hook = sys.argv[1] if len(sys.argv) > 1 else ""
    if hook not in HOOKS or not hasattr(provider, HOOKS[hook]):
        print("no such hook: %r" % hook, file=sys.stderr)
        sys.exit(FAILED)
    try:
        if hook == "create":
            labels()  # before anything is made
        call = getattr(provider(), HOOKS[hook])
        answer = _create(provider, call) if hook == "create" else call()
    except (Stop, Failure) as error:
        print(error.what, file=sys.stderr)
        sys.exit(status_of(provider, error))
    except OSError as error:
        print("%s: %s" % (hook, error), file=sys.stderr)
        sys.exit(FAILED)
    json.dump(answer, sys.stdout)
    print()
