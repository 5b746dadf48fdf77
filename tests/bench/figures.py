"""The harness of scripts/bench: defines figures, measures them in rounds, and prints the table and the JSON.

A suite is a module that registers figures:

    @figure("connect_cpu_ratio", limit=1.2, unit="x", suite="guard", says="CPU per new CONNECT, of a plain splice relay's")
    def connect_cpu_ratio(bench):
        return bench.ratio(ours, theirs)         # two functions, each measures once and gives a number

It returns the value; `bench.note(...)` adds a line to the table. A figure registers everything that it starts with
`bench.stack`, which ends it after the last figure, also after failures.
"""

import contextlib
import dataclasses
import json
import statistics
import sys
import time
import traceback


@dataclasses.dataclass
class Figure:
    name: str
    limit: float
    unit: str
    suite: str
    says: str
    measure: object
    at_least: bool = False
    value: float = None
    notes: list = dataclasses.field(default_factory=list)

    @property
    def holds(self):
        return self.value is not None and (self.value >= self.limit if self.at_least else self.value <= self.limit)


FIGURES = {}


def figure(name, limit, unit, suite, says, at_least=False):
    def register(measure):
        FIGURES[name] = Figure(name, limit, unit, suite, says, measure, at_least)
        return measure
    return register


class Bench:
    """One run. `shared` holds what several figures use, such as a running proxy."""

    def __init__(self, quick=False, compare=False):
        self.quick, self.compare = quick, compare
        self.stack = contextlib.ExitStack()
        self.shared = {}
        self.current = None

    def rounds(self, usual):
        return max(3, usual // 4) if self.quick else usual

    def once(self, key, make):
        if key not in self.shared:
            self.shared[key] = make()
        return self.shared[key]

    def world(self):
        """Returns the tests/world that all suites of a run share, because a process can have only one. Each suite has
        its own home in it."""
        def make():
            import world  # only if a figure needs one, because it needs root
            self.progress("the test world: dockerd, a name server, sites")
            return self.stack.enter_context(world.World())
        return self.once("world", make)

    def progress(self, text):
        if sys.stderr.isatty():
            sys.stderr.write("\r\033[K  %s" % text[:110])
            sys.stderr.flush()

    def note(self, text):
        self.current.notes.append(text)

    def in_turn(self, rounds, **sides):
        """Measures each side once per round, in alternating order, so that other load on the machine affects all sides
        alike. Returns a dict of lists."""
        taken = {name: [] for name in sides}
        for i in range(-1, rounds):  # the first round only warms up
            for name in (list(sides) if i % 2 else reversed(list(sides))):
                self.progress("%s: round %d of %d, %s" % (self.current.name, max(i + 1, 0), rounds, name))
                value = sides[name]()
                if i >= 0:
                    taken[name].append(value)
        return taken

    def ratio(self, ours, theirs, rounds=12, form="%.0f", **others):
        """Returns the median over all rounds of ours/theirs, both measured in the same round."""
        taken = self.in_turn(self.rounds(rounds), ours=ours, theirs=theirs, **others)
        base = taken["theirs"]
        value = median([a / b for a, b in zip(taken["ours"], base, strict=False)])
        spread = sorted(a / b for a, b in zip(taken["ours"], base, strict=False))
        self.note(("ours " + form + ", theirs " + form + "; ratios %.2f to %.2f in %d rounds") % (
            median(taken["ours"]), median(base), spread[0], spread[-1], len(base)))
        for name in others:
            self.note("%s: %.2f" % (name.replace("_", " "), median([a / b for a, b in zip(taken[name], base, strict=False)])))
        return value


def median(values):
    return statistics.median(values)


def run(names, quick=False, compare=False, as_json=False):
    """Measures the named figures. Returns the exit status: 0 if all were measured and keep their limits."""
    bench = Bench(quick, compare)
    chosen = [FIGURES[name] for name in names]
    begun = time.time()
    with bench.stack:
        for each in chosen:
            bench.current = each
            try:
                each.value = each.measure(bench)
            except Exception as error:  # one failure must not prevent the other figures
                each.notes.append("not measured: %s" % error)
                if not sys.stderr.isatty():
                    traceback.print_exc()
            show(bench, each)
    failed = [each for each in chosen if not each.holds]
    if as_json:
        print(json.dumps({"figures": [{"name": e.name, "value": None if e.value is None else round(e.value, 4), "limit": e.limit, "unit": e.unit}
                                      for e in chosen]}))
    say("%d figures in %d s%s" % (len(chosen), time.time() - begun, "" if not failed else "; missed: " + ", ".join(e.name for e in failed)))
    return 1 if failed else 0


def say(text):
    sys.stderr.write(("\r\033[K" if sys.stderr.isatty() else "") + text + "\n")
    sys.stderr.flush()


def show(bench, each):
    value = "not measured" if each.value is None else "%.3g %s" % (each.value, each.unit)
    say("%s %-20s %-14s %s %g   %s" % ("ok  " if each.holds else "MISS", each.name, value, ">=" if each.at_least else "<=", each.limit, each.says))
    for note in each.notes:
        say("       " + note)
