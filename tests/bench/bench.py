"""Runs scripts/bench after its dependencies are installed: selects the figures, measures them and prints them. A suite
is a module in this directory that registers its figures with @figure(…, suite=NAME). `scripts/bench NAME` measures
one suite; without a name, only the first ones of SUITES are measured."""

import argparse
import importlib
import resource
import signal
import sys

import figures

SUITES = {"session": True, "guard": True, "remote": False, "scan": False, "vm": False}  # module → measured unless others are named


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures the project's figures and holds them against their limits.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="figures or suites (%s); all usual ones without" % ", ".join(SUITES))
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", action="store_true", help="the figures as JSON on stdout")
    parser.add_argument("--compare", action="store_true", help="also tinyproxy, squid and mitmproxy, where the machine has them")
    parser.add_argument("--list", action="store_true", help="the names and their limits")
    options = parser.parse_args()
    for suite in SUITES:
        importlib.import_module(suite)
    known = figures.FIGURES
    names = []
    for name in options.names or [suite for suite, usual in SUITES.items() if usual]:
        members = [f.name for f in known.values() if f.suite == name] if name in SUITES else [name]
        unknown = [m for m in members if m not in known]
        if unknown:
            parser.error("no figure or suite %s; there are: %s" % (", ".join(unknown), ", ".join([*SUITES, *known])))
        names += [m for m in members if m not in names]
    if options.list:
        for name in names:
            print("%-20s %s %g %s  %s" % (name, ">=" if known[name].at_least else "<=", known[name].limit, known[name].unit, known[name].says))
        return 0
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # started programs inherit it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends everything that was started
    return figures.run(names, options.quick, options.compare, options.json)


if __name__ == "__main__":
    sys.exit(main())
