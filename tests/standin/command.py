"""STAND-IN. The parts that the stand-ins of cloud commands in bin/ share. They keep the cloud's state in the file
STANDIN_STATE, accept exactly the subcommands and flags that the real command documents and the providers use, refuse
all others, and fail on demand. They contact no cloud.

The state file contains {"things": {...}, "faults": [{"of": "machine run", "err": "words", "status": 1, "times": 1,
"after": false}], "log": [...]}"""

import fcntl
import json
import os
import sys
import time


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Refused(Exception):
    def __init__(self, words, status=1):
        super().__init__(words)
        self.words, self.status = words, status


class Flags(dict):
    """The arguments of a subcommand: {"--zone": "a", "--rm": True, "--tags": ["a", "b"]}, and the rest in `names`."""

    def __init__(self):
        super().__init__()
        self.names = []


def parse(argv, kinds, positional, required=()):
    """Parses arguments. `kinds` says for each flag whether it is "value", "many" (may be repeated), "bool" (also
    --flag=false) or "optional" (with or without a value)."""
    flags, rest = Flags(), list(argv)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            flags.names.append(word)
            continue
        flag, has_value, value = word.partition("=")
        kind = kinds.get(flag)
        if not kind:
            raise Refused("unrecognized arguments: " + word, 2)
        if kind == "bool":
            value = value != "false" if has_value else True
        elif kind == "optional" and not has_value:
            value = rest.pop(0) if rest and not rest[0].startswith("-") else ""
        elif not has_value:
            if not rest:
                raise Refused("expected one argument: " + flag, 2)
            value = rest.pop(0)
        if kind == "many":
            flags.setdefault(flag, []).append(value)
        elif flag in flags:
            raise Refused("given twice: " + flag, 2)
        else:
            flags[flag] = value
    if len(flags.names) != positional:
        raise Refused("expected %d arguments, got %r" % (positional, flags.names), 2)
    for flag in required:
        if flag not in flags:
            raise Refused("required: " + flag, 2)
    return flags


def main(subcommands):
    """Runs the subcommand. `subcommands` maps a name such as "machine run" to (kinds, positional, required, function).
    The function gets the state and the flags, and returns the JSON or the text that is printed."""
    argv = sys.argv[1:]
    chosen = next((words for words in sorted(subcommands, key=len, reverse=True) if argv[:len(words.split())] == words.split()), None)
    with open(os.environ["STANDIN_STATE"], "r+", encoding="utf-8") as f:
        hold_on(os.environ["STANDIN_STATE"], chosen)
        fcntl.flock(f, fcntl.LOCK_EX)
        state = json.load(f)
        with open("/proc/self/cmdline", "rb") as own:
            state["log"].append({"subcommand": chosen, "argv": argv, "cmdline": own.read().decode(errors="replace")})
        fault = next((t for t in state["faults"] if chosen and t["of"] in (chosen, "*") and t.get("times", 1) > 0), None)
        try:
            if not chosen:
                raise Refused("the stand-in does not know: " + " ".join(argv), 2)
            if fault:
                fault["times"] = fault.get("times", 1) - 1
                if not fault.get("after"):
                    raise Refused(fault["err"], fault.get("status", 1))
            kinds, positional, required, call = subcommands[chosen]
            answer, code = call(state, parse(argv[len(chosen.split()):], kinds, positional, required)), 0
            if fault:
                raise Refused(fault["err"], fault.get("status", 1))
            print(answer if isinstance(answer, str) else json.dumps(answer))
        except Refused as refused:
            print(refused.words, file=sys.stderr)
            code = refused.status
        f.seek(0)
        f.truncate()
        json.dump(state, f)
    sys.exit(code)


def hold_on(state, subcommand):
    """Waits, before anything is done, as long as the file STATE.wait exists. The file STATE.waits shows that a
    subcommand waits."""
    try:
        with open(state + ".wait", encoding="utf-8") as f:
            waits = f.read() == subcommand
    except FileNotFoundError:
        return
    if waits:
        open(state + ".waits", "w", encoding="utf-8").close()
        until = time.time() + 120
        while os.path.exists(state + ".wait") and time.time() < until:
            time.sleep(0.05)


def grow(thing, field, steps):
    """Moves a thing to its next state each time it is read, for example with the steps {"STAGING": "RUNNING"}, unless
    the thing is held."""
    if not thing.get("_held"):
        thing[field] = steps.get(thing[field], thing[field])
    return thing


def shown(thing):
    return {key: value for key, value in thing.items() if not key.startswith("_")}
