"""Tests the mistakes of a new operator: each error names the mistake and says what to do, before anything is created."""

import os
import subprocess

import pytest

HEADLESS = ["start", "a", "--yes", "--headless"]


def bottles(**bottle):
    return {"bottles": {"b": bottle}, "agents": {"a": {"bottle": "b", "provider": "shell"}}}


def refused(world, operator, *arguments, config=None, **kwargs):
    """Returns the error of a start that creates nothing."""
    done = operator.bottle(*arguments, config=config or operator.config(), **kwargs)
    assert done.returncode == 125, done
    assert operator.sessions() == [] and world.left() == []
    return done.stderr


def test_without_a_terminal_the_error_names_the_option_yes(world, operator):
    assert "--yes" in refused(world, operator, "start", "a", "--headless", "-p", "x")


def test_a_dry_run_needs_no_token(operator):
    config = {"agents": {"c": {"provider": "claude"}}}
    done = operator.bottle("start", "c", "--dry-run", config=config, token=False)
    assert done.returncode == 0, done
    assert "cannot sign in" in done.stdout


def test_an_empty_variable_is_reported_as_empty(world, operator):
    config = bottles(env={"X": "${GIVEN}"})
    assert "GIVEN is empty" in refused(world, operator, *HEADLESS, "-p", "x", config=config, env={"GIVEN": ""})
    assert "GIVEN is not set" in refused(world, operator, *HEADLESS, "-p", "x", config=config)


def test_a_value_that_is_not_utf8_is_refused(world, operator):
    said = refused(world, operator, *HEADLESS, "-p", "x", config=bottles(env={"X": "${GIVEN}"}), env={"GIVEN": b"caf\xe9"})
    assert "variable X: the value is not UTF-8" in said


@pytest.mark.parametrize("value, says", [
    (b"line-one-of-a-key\nline-two-of-a-key\n", "more than one line"),
    (bytes(range(128, 192)), "not UTF-8"),
    (b"has-a-bell-\x07-inside", "control byte"),
    (b"x" * 20000, "more than 16 KB"),
    (b"short", "fewer than 8 bytes"),
])
def test_a_secret_that_cannot_be_a_header_is_refused_before_anything_is_made(world, operator, tmp_path, value, says):
    (tmp_path / "secret").write_bytes(value)
    config = bottles(secrets={"s": {"from": "file:%s/secret" % tmp_path, "hosts": ["api.example.org"], "env": "S"}},
                     egress={"allow": ["api.example.org"]})
    said = refused(world, operator, *HEADLESS, "-p", "x", config=config)
    assert "secret s" in said and says in said


def test_a_prompt_is_read_from_standard_input(world, operator):
    said = refused(world, operator, "start", "a", "--yes", "-p", "-", input="echo hello\n")
    assert "--headless" in said
    done = operator.bottle(*HEADLESS, "-q", config=operator.config(), input="echo from-a-pipe\n")
    assert done.returncode == 0 and done.stdout == "from-a-pipe\n", done


def test_a_workspace_that_is_not_a_directory_is_refused(world, operator, tmp_path):
    (tmp_path / "file").write_text("x")
    assert "is not a directory" in refused(world, operator, *HEADLESS, "-p", "x", "-C", str(tmp_path / "file"))
    gone = tmp_path / "gone"
    gone.mkdir()
    script = 'cd "$1" && rmdir "$1" && shift && exec "$@"'
    done = subprocess.run(["sh", "-c", script, "sh", str(gone), *world.command(*HEADLESS, "-p", "x")], text=True,
                          env=world.environment(config=operator.config(), home=operator.home), capture_output=True)
    assert done.returncode == 125 and "current directory no longer exists" in done.stderr, done


def test_a_manifest_named_bottle_yml_is_reported(operator):
    directory = os.path.join(operator.home, ".config", "bottle")
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "bottle.yml"), "w") as file:
        file.write("agents: {}\n")
    done = operator.bottle("check")
    assert done.returncode == 1 and "rename it to bottle.yaml" in done.stderr, done


def test_the_agent_gets_the_locale_if_the_image_has_it(operator):
    """The image has no German locale, but it has C.UTF-8 under both of its names."""
    def seen(variables, **config):
        done = operator.bottle(*HEADLESS, "-q", "-p", "echo $LANG $LC_ALL $LC_TIME; echo ü | wc -m", config=operator.config(**config), env=variables)
        assert done.returncode == 0, done
        return done.stdout.split()
    assert seen({"LANG": "de_DE.UTF-8", "LC_TIME": "en_DK.UTF-8"}) == ["C.UTF-8", "2"]
    assert seen({"LANG": "de_DE.UTF-8", "LC_ALL": "C.utf8"}) == ["C.UTF-8", "C.utf8", "2"]
    assert seen({"LANG": "en_US.UTF-8"}, env={"LANG": "de_DE.UTF-8"})[0] == "de_DE.UTF-8"


def test_the_agent_gets_the_time_zone(operator):
    done = operator.bottle(*HEADLESS, "-q", "-p", "echo $TZ", config=operator.config(), env={"TZ": "Europe/Berlin"})
    assert done.returncode == 0 and done.stdout == "Europe/Berlin\n", done
