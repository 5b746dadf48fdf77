"""Runs `bottle scan` over the corpus and counts: judge.py [SEED] prints the figures (BOTTLE names the build). Skips
leaks that are spread over several headers, requests or messages, which only a guard can find (through_guard.py)."""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile

import corpus

MOST_FILES = 1000  # of one command line


@dataclasses.dataclass
class Result:
    leaks: int = 0
    harmless: int = 0
    missed: list = dataclasses.field(default_factory=list)
    false_alarms: list = dataclasses.field(default_factory=list)
    warned: list = dataclasses.field(default_factory=list)  # harmless cases with a finding that only warns


def in_headers(case):
    return case.name.endswith("split-headers")


def judge(bottle, directory, seed, leaks=2000, harmless=620):
    cases = {}
    leaking = [case for case in corpus.leaks(seed, leaks + leaks // 7) if not case.parts and not in_headers(case)]
    for case in leaking + corpus.harmless(seed, harmless):
        path = os.path.join(directory, case.name)
        with open(path, "wb") as file:
            file.write(case.data)
        cases[path] = case
    known = os.path.join(directory, "known")
    with open(known, "w") as file:
        file.write("".join(f"{name}={value}\n" for name, value in corpus.KNOWN.items()))
    result, paths = Result(), list(cases)
    for at in range(0, len(paths), MOST_FILES):
        done = subprocess.run(
            [bottle, "scan", "--json", "--known", known, *paths[at : at + MOST_FILES]], stdout=subprocess.PIPE
        )
        if done.returncode not in (0, 1):
            raise RuntimeError("bottle scan ended with %d" % done.returncode)
        for each in json.loads(done.stdout)["files"]:
            case = cases[each["file"]]
            if case.leak:
                result.leaks += 1
                # An error does not count as a finding.
                if not any(not finding["warns"] for finding in each["findings"]):
                    result.missed.append(case.name)
            else:
                result.harmless += 1
                if any(finding["warns"] for finding in each["findings"]):
                    result.warned.append(case.name)
                if each["blocked"]:
                    names = ", ".join(f"{f['rule']} ({f['encoding']})" for f in each["findings"])
                    result.false_alarms.append(f"{case.name}: {each['problem']}{names}")
    return result


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    with tempfile.TemporaryDirectory(prefix="bottle-scan-") as directory:
        result = judge(os.environ.get("BOTTLE", "build/release/bottle"), directory, seed)
    print(
        f"seed {seed}: {result.leaks - len(result.missed)} of {result.leaks} leaks found, "
        f"{len(result.false_alarms)} false alarms and {len(result.warned)} warnings in {result.harmless} harmless cases"
    )
    for name in result.missed + result.false_alarms:
        print("  " + name)
    return 1 if len(result.missed) * 50 > result.leaks or result.false_alarms else 0


if __name__ == "__main__":
    sys.exit(main())
