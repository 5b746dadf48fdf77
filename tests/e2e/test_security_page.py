"""Checks that the tests and commands in SECURITY.md exist, for each wall, and that the commands select tests."""

import glob
import os
import re

import world as world_module

PAGE = open(os.path.join(world_module.ROOT, "SECURITY.md")).read()
WALLS = PAGE[PAGE.index("## The walls"):PAGE.index("## What is not defended against")]


def read(*pattern):
    return "\n".join(open(path).read() for path in glob.glob(os.path.join(world_module.ROOT, *pattern), recursive=True))


PYTHON, UNIT = read("tests", "e2e", "test_*.py"), read("src", "**", "*_test.*")
UNIT_TESTS = {"%s.%s" % found for found in re.findall(r"^TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\)", UNIT, re.M)}


def selects(pattern):
    """Returns whether a gtest pattern names a test."""
    return any(re.fullmatch(pattern.replace(".", r"\.").replace("*", ".*"), name) for name in UNIT_TESTS)


def test_every_wall_prints_a_command():
    for section in WALLS.split("\n### ")[1:]:
        assert "```sh\n" in section, section.splitlines()[0]


def test_every_wall_is_weakened_once():
    """Each wall is weakened by a test with the wall's name. Only the guard's unit tests weaken the record
    (RecordTest.AReaderThatDiscardsTheRecordLosesIt)."""
    weakened = " ".join(re.findall(r"def (test_\w+)\(", read("tests", "e2e", "test_weakened_walls.py")))
    for section in WALLS.split("\n### ")[1:]:
        name = re.sub(r"[^a-z0-9]+", "_", section.splitlines()[0].lower().replace("'", ""))
        assert name in weakened or name == "traffic_and_the_record", name


def test_commands_select_tests():
    commands = [line for block in re.findall(r"```sh\n(.*?)```", WALLS, re.S) for line in block.splitlines()]
    for command in commands:
        files = re.findall(r"tests/e2e/\w+\.py", command)
        text = "".join(open(os.path.join(world_module.ROOT, name)).read() for name in files)
        names = re.findall(r"def (test_\w+)\(", text)
        words = re.search(r'-k "?([\w ]+)"?', command)
        for word in words.group(1).split(" or ") if words else []:
            assert any(word in name for name in names), command
        for pattern in (re.search(r"--gtest_filter='([^']+)'", command) or [None, ""])[1].split(":"):
            assert not pattern or selects(pattern), command
        assert names or "build" in command, command


def test_every_test_that_the_page_names_exists():
    """Checks the tests in the table, and one that weakens each wall."""
    table = PAGE[PAGE.index("## What was tried"):PAGE.index("## Reporting")]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| ") and "`" in line]
    assert len(rows) > 20
    for row in rows:
        for name in re.findall(r"`([^`]+)`", row[3]):
            there = os.path.exists(os.path.join(world_module.ROOT, "tests", "e2e", name)) if name.endswith(".py") else (
                "def %s(" % name in PYTHON if name.startswith("test_") else selects(name))
            assert there, name
