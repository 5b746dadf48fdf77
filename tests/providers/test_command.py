"""providers/command: hooks that the manifest gives as command lines."""

import pytest

from hooks import NOT_SET_UP, Vm

LINES = {
    "create": 'echo made >"$BOTTLE_STATE_DIR/it"; echo "{\\"id\\": \\"$BOTTLE_VM_NAME\\"}"',
    "ssh_info": '[ -e "$BOTTLE_STATE_DIR/it" ] || exit 75; echo \'{"host": "127.0.0.1", "port": 2022, "user": "\'"$BOTTLE_SSH_USER"\'"}\'',
    "status": 'if [ -e "$BOTTLE_STATE_DIR/it" ]; then echo \'{"status": "running"}\'; else echo \'{"status": "gone"}\'; fi',
    "destroy": 'rm -f "$BOTTLE_STATE_DIR/it"; echo \'{"status": "gone"}\'',
    "list": "echo '{\"machines\": []}'"}


def test_a_machine_is_created_listed_and_destroyed(tmp_path):
    vm = Vm("command", str(tmp_path), **LINES)
    assert vm.run("ssh-info").status == 75
    assert vm.create() == vm.name
    assert vm.run("ssh-info").json == {"host": "127.0.0.1", "port": 2022, "user": "bottle"}
    assert vm.status() == "running" and vm.machines() == []
    vm.destroy()
    assert not (tmp_path / ("state-" + vm.name) / "it").exists()


@pytest.mark.parametrize("hook", ["create", "ssh-info", "status", "destroy", "list", "put-secret", "bake"])
def test_output_and_exit_status_are_those_of_the_command(tmp_path, hook):
    option = {hook.replace("-", "_"): "echo these words >&2; exit 73"}
    done = Vm("command", str(tmp_path), **option).run(hook)
    assert (done.status, done.out, done.err) == (73, "", "these words\n")
    done = Vm("command", str(tmp_path)).run(hook)
    assert done.status == NOT_SET_UP and "options." + hook in done.err and done.out == ""
