"""Tests who can read the disk that qemu's `bake` keeps. No VM is started."""
import importlib.util
import json
import os
import shutil
import stat
import subprocess
import tempfile

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))


def load():
    spec = importlib.util.spec_from_file_location("qemu_provider", os.path.join(HERE, "..", "..", "providers", "qemu", "qemu.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_relative_xdg_path_is_ignored(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/mine")
    module = load()
    assert module.VMS.startswith("/") and module.IMAGES == "/var/cache/mine/bottle/qemu"


@pytest.fixture
def qemu(monkeypatch):
    if not shutil.which("qemu-img"):
        pytest.skip("needs qemu-utils")
    root = tempfile.mkdtemp(prefix="qemu-bake-")
    os.chmod(root, 0o711)  # as /var/cache is
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, root)
    monkeypatch.setenv("BOTTLE_VM_ID", "qemu-1")
    monkeypatch.setenv("BOTTLE_VM_NAME", "lab")
    monkeypatch.setenv("BOTTLE_OWNER", "0a1b2c3d")
    module = load()
    template = os.path.join(module.IMAGES, "0123456789ab")
    directory = os.path.join(module.VMS, "lab")
    for path, mode in ((os.path.dirname(module.IMAGES), 0o711), (module.IMAGES, 0o711), (template, 0o755), (module.VMS, 0o711), (directory, 0o700)):
        os.makedirs(path, exist_ok=True)
        os.chmod(path, mode)
    for name in ("vmlinuz", "initrd"):
        with open(os.path.join(template, name), "w") as file:
            file.write(name)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", directory + "/disk.qcow2", "1M"], check=True)
    module.write(directory, {"id": "qemu-1", "name": "lab", "session": "x1", "owner": "0a1b2c3d", "image": template, "started": 1})
    yield module
    shutil.rmtree(root)


def bake(qemu, capsys):
    before = os.umask(0o022)
    try:
        qemu.main("bake")
    finally:
        os.umask(before)
    return json.loads(capsys.readouterr().out)["image"]


def ask(qemu, hook, capsys):
    capsys.readouterr()
    qemu.main(hook)
    return json.loads(capsys.readouterr().out)


def test_a_machine_of_another_owner_is_left_alone(qemu, capsys, monkeypatch):
    open(os.path.join(qemu.VMS, "lab.lock"), "w").close()
    for owner in ("another", ""):
        monkeypatch.setenv("BOTTLE_OWNER", owner)
        for vm_id in ("qemu-1", ""):
            monkeypatch.setenv("BOTTLE_VM_ID", vm_id)
            assert ask(qemu, "status", capsys) == {"status": "gone"} and ask(qemu, "destroy", capsys) == {"status": "gone"}
        monkeypatch.setenv("BOTTLE_OPT_IMAGE", qemu.IMAGES)
        monkeypatch.setattr(qemu, "QEMU", "true")
        with pytest.raises(SystemExit) as exit:
            qemu.main("create")
        assert exit.value.code == 1 and "another owner" in capsys.readouterr().err
        assert os.listdir(os.path.join(qemu.VMS, "lab")) and os.path.exists(os.path.join(qemu.VMS, "lab.lock"))
    monkeypatch.setenv("BOTTLE_OWNER", "0a1b2c3d")
    monkeypatch.setenv("BOTTLE_VM_ID", "")
    assert ask(qemu, "status", capsys) == {"status": "stopped"} and ask(qemu, "destroy", capsys) == {"status": "gone"}
    assert os.listdir(qemu.VMS) == []


def test_a_vm_whose_file_was_lost_is_not_gone(qemu, capsys, monkeypatch):
    """The machine lost power while the file was written."""
    directory = os.path.join(qemu.VMS, "lab")
    open(os.path.join(directory, "vm.json"), "w").close()
    monkeypatch.setenv("BOTTLE_OPT_IMAGE", qemu.IMAGES)
    monkeypatch.setattr(qemu, "QEMU", "true")

    def fails(hook, vm_id):
        monkeypatch.setenv("BOTTLE_VM_ID", vm_id)
        with pytest.raises(SystemExit) as exit:
            qemu.main(hook)
        assert exit.value.code == 1 and "cannot be read" in capsys.readouterr().err
        assert os.path.exists(directory + "/disk.qcow2")

    for hook, vm_id in (("status", "qemu-1"), ("destroy", "qemu-1"), ("status", ""), ("destroy", ""), ("create", "")):
        fails(hook, vm_id)
    with open(directory + "/meta-data", "w") as file:
        json.dump({"instance-id": "qemu-1", "local-hostname": "lab"}, file)
    for hook in ("status", "destroy", "create"):  # a start that never got the id may be another owner's
        fails(hook, "")
    monkeypatch.setenv("BOTTLE_VM_ID", "qemu-1")
    assert [(vm["id"], vm["status"]) for vm in ask(qemu, "list", capsys)["machines"]] == [("qemu-1", "stopped")]
    assert ask(qemu, "status", capsys) == {"status": "stopped"}
    monkeypatch.setenv("BOTTLE_VM_ID", "qemu-2")
    assert ask(qemu, "status", capsys) == {"status": "gone"} and ask(qemu, "destroy", capsys) == {"status": "gone"}
    assert os.path.exists(directory + "/disk.qcow2"), "another VM"
    monkeypatch.setenv("BOTTLE_VM_ID", "qemu-1")
    assert ask(qemu, "destroy", capsys) == {"status": "gone"} and not os.path.exists(directory)


@pytest.mark.parametrize("damaged", [True, False])
def test_the_image_of_a_damaged_vm_stays(qemu, capsys, monkeypatch, damaged):
    """Its disk is an overlay, and what is in the image is not in the overlay."""
    old = os.path.join(qemu.IMAGES, "0123456789ab")
    baked = os.path.join(qemu.IMAGES, "baked-qemu-0")
    os.mkdir(baked)
    lost = os.path.join(qemu.VMS, "lost")
    os.mkdir(lost)
    open(os.path.join(lost, "disk.qcow2" if damaged else "early"), "w").close()
    monkeypatch.setenv("BOTTLE_BAKED_BEFORE", baked)
    bake(qemu, capsys)
    assert os.path.exists(baked) == damaged
    monkeypatch.setattr(qemu.subprocess, "run", lambda words, **_: os.mkdir(words[-1]) or subprocess.CompletedProcess(words, 0))
    shutil.rmtree(os.path.join(qemu.VMS, "lab"))
    new = ask(qemu, "prepare", capsys)["image"]
    assert new != old and os.path.exists(new) and os.path.exists(old) == damaged


@pytest.mark.parametrize("kept", ["disk.qcow2", "meta-data", "vm.json"])
def test_a_destroy_that_ends_halfway_can_be_repeated(qemu, capsys, monkeypatch, kept):
    """One file cannot be removed at first, and then the hook is called again, as after one that was killed."""
    directory = os.path.join(qemu.VMS, "lab")
    with open(os.path.join(directory, "meta-data"), "w") as file:
        json.dump({"instance-id": "qemu-1", "local-hostname": "lab"}, file)
    unlink = os.unlink

    def fails(path, *rest, **named):
        if os.path.basename(path) == kept:
            raise PermissionError("not now: " + path)
        return unlink(path, *rest, **named)
    with monkeypatch.context() as now, pytest.raises(SystemExit) as ended:
        now.setattr(os, "unlink", fails)
        qemu.main("destroy")
    assert ended.value.code == 1 and "removing its files failed" in capsys.readouterr().err
    for vm_id in ("qemu-1", ""):
        monkeypatch.setenv("BOTTLE_VM_ID", vm_id)
        assert ask(qemu, "status", capsys) == {"status": "stopped"}
        monkeypatch.setenv("BOTTLE_OWNER", "another")
        assert ask(qemu, "destroy", capsys) == {"status": "gone"} and os.path.exists(os.path.join(directory, "vm.json"))
        monkeypatch.setenv("BOTTLE_OWNER", "0a1b2c3d")
    assert ask(qemu, "destroy", capsys) == {"status": "gone"} and os.listdir(qemu.VMS) == []


def test_what_a_create_that_was_killed_early_left_is_removed(qemu, capsys, monkeypatch):
    os.makedirs(os.path.join(qemu.VMS, "early"))
    open(os.path.join(qemu.VMS, "early.lock"), "w").close()
    monkeypatch.setenv("BOTTLE_VM_NAME", "early")
    monkeypatch.setenv("BOTTLE_VM_ID", "")
    assert ask(qemu, "status", capsys) == {"status": "pending"} and ask(qemu, "destroy", capsys) == {"status": "gone"}
    assert os.listdir(qemu.VMS) == ["lab"]


def test_other_users_cannot_read_a_baked_disk(qemu, capsys):
    baked = bake(qemu, capsys)
    for path in [baked] + [os.path.join(baked, name) for name in ("disk.qcow2", "vmlinuz", "initrd")]:
        mode = stat.S_IMODE(os.stat(path).st_mode)
        assert not mode & 0o027, "%s is %o" % (path, mode)
        assert os.geteuid() == 0 or not mode & 0o077
        assert os.stat(path).st_uid == os.geteuid()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_roots_qemu_reads_a_baked_disk_as_a_separate_user(qemu, capsys):
    baked = bake(qemu, capsys)
    directory = os.path.join(qemu.VMS, "next")
    os.makedirs(directory, 0o700)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", baked + "/disk.qcow2", directory + "/disk.qcow2"], check=True)
    group = qemu.group_of(baked)
    uid = qemu.unprivileged(directory, [directory, baked + "/vmlinuz"], group)
    assert uid
    look = ["qemu-img", "info", "--backing-chain", directory + "/disk.qcow2"]
    subprocess.run(qemu.as_user(uid, [group]) + look, check=True, stdout=subprocess.DEVNULL, cwd="/")
    subprocess.run(qemu.as_user(uid, [group]) + ["cat", baked + "/vmlinuz", baked + "/initrd"], check=True, stdout=subprocess.DEVNULL, cwd="/")
    for groups in ([], [group + 1]):
        for name in ("disk.qcow2", "vmlinuz"):
            assert subprocess.run(qemu.as_user(uid, groups) + ["cat", baked + "/" + name], capture_output=True, cwd="/").returncode, groups
    assert qemu.group_of(os.path.join(qemu.IMAGES, "0123456789ab")) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("closed", ["XDG_STATE_HOME", "XDG_CACHE_HOME", "BOTTLE_OPT_IMAGE"])
def test_qemu_never_runs_as_root(monkeypatch, capsys, closed):
    """A directory below /root, for example, lets only root in."""
    with tempfile.TemporaryDirectory(prefix="qemu-closed-") as root:
        os.chmod(root, 0o711)
        private = os.path.join(root, "private")
        os.mkdir(private, 0o700)
        for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
            monkeypatch.setenv(name, root)
        monkeypatch.setenv(closed, os.path.join(private, "image"))
        monkeypatch.setenv("BOTTLE_VM_NAME", "lab")
        module = load()
        monkeypatch.setattr(module.shutil, "which", lambda name: "/usr/bin/" + name)
        if closed != "BOTTLE_OPT_IMAGE":
            monkeypatch.setattr(module, "image", lambda: pytest.fail("it makes the disk first"))
        with pytest.raises(SystemExit) as ended:
            module.main("create")
        assert ended.value.code == 78 and "cannot enter %s:" % private in capsys.readouterr().err
        assert not os.path.exists(os.path.join(module.VMS, "lab")), "a VM was made"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_qemu_can_enter_the_directories_that_bottle_made(monkeypatch, capsys):
    """bottle makes its own directories accessible to one user only."""
    with tempfile.TemporaryDirectory(prefix="qemu-own-") as root:
        os.chmod(root, 0o711)
        own = [os.path.join(root, name, "bottle") for name in ("state", "cache")]
        for variable, path in zip(("XDG_STATE_HOME", "XDG_CACHE_HOME"), own, strict=True):
            os.makedirs(path)
            os.chmod(path, 0o700)
            monkeypatch.setenv(variable, os.path.dirname(path))
        template, data = os.path.join(own[1], "qemu", "template"), os.path.join(root, "data")
        os.makedirs(template)
        for path in (data, template + "/vmlinuz"):
            open(path, "w").close()
        for name, value in (("VM_NAME", "lab"), ("VM_ID", ""), ("OWNER", "0a1b2c3d"), ("OPT_IMAGE", template), ("USER_DATA", data)):
            monkeypatch.setenv("BOTTLE_" + name, value)
        module = load()
        monkeypatch.setattr(module.shutil, "which", lambda name: "/usr/bin/" + name)
        monkeypatch.setattr(module, "tool", lambda *_: None)
        monkeypatch.setattr(module, "start", lambda directory, vm: module.unprivileged(directory, [directory, vm["image"] + "/vmlinuz"], None))
        umask = os.umask(0o022)
        try:
            assert ask(module, "create", capsys)["id"].startswith("qemu-")
        finally:
            os.umask(umask)
        assert [stat.S_IMODE(os.stat(path).st_mode) for path in own] == [0o701, 0o701]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_qemu_does_not_start_as_root_if_its_image_cannot_be_entered(qemu, capsys):
    directory, template = os.path.join(qemu.VMS, "lab"), os.path.join(qemu.IMAGES, "0123456789ab")
    os.chmod(template, 0o700)
    with pytest.raises(SystemExit) as ended:
        qemu.unprivileged(directory, [directory, template + "/vmlinuz"], None)
    assert ended.value.code == 78 and "cannot enter %s:" % template in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_the_trial_of_kvm_does_not_run_as_root(qemu, monkeypatch):
    template, seen = os.path.join(qemu.IMAGES, "0123456789ab"), []
    monkeypatch.setattr(qemu.os, "access", lambda path, mode: True)
    monkeypatch.setattr(qemu.os, "stat", lambda path, stat=os.stat: stat("/dev/null" if path == "/dev/kvm" else path))

    def run(command, **_):
        seen.append(command)
        return subprocess.CompletedProcess(command, 0, b"Kernel panic")
    monkeypatch.setattr(qemu.subprocess, "run", run)

    class Started(Exception):
        pass

    def popen(command, **_):
        seen.append(command)
        raise Started
    monkeypatch.setattr(qemu.subprocess, "Popen", popen)
    directory = os.path.join(qemu.VMS, "lab")
    with pytest.raises(Started):
        qemu.start(directory, {"image": template, "name": "lab", "cpus": 1, "memory": 256, "disk": 8, "network": "none", "ttl": 0})
    assert len(seen) == 2
    for command in seen:
        assert command[0] == "setpriv" and int(command[command.index("--reuid") + 1]) >= qemu.NUMBERS, command


def test_the_logins_of_proxies_and_sources_are_not_on_a_command_line(tmp_path):
    """image.sh runs with a stand-in for mmdebstrap, which shows what it gets."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("mmdebstrap", "mkfs.ext4", "qemu-img", "newuidmap"):
        (programs / name).write_text('#!/bin/sh\nprintf "%s\\n" "$@" >"$SEEN/words"\nfor word in "$@"; do\n  case $word in --setup-hook=upload*)\n'
                                     '    set -- $word; cp "$2" "$SEEN/apt.conf"; stat -c "%a" "$2" "${2%/*}"/machine.* >"$SEEN/modes" ;;\n  esac\ndone\nexit 1\n')
        (programs / name).chmod(0o755)
    (tmp_path / "settings").write_text('Acquire::https::Proxy "http://me:s3cret@127.0.0.1:1";\n')
    script = os.path.join(HERE, "..", "..", "providers", "qemu", "image.sh")
    done = subprocess.run(["bash", script, str(tmp_path / "out")], capture_output=True, text=True,
                          env={**os.environ, "PATH": "%s:%s" % (programs, os.environ["PATH"]), "APT_CONFIG": str(tmp_path / "settings"),
                               "SEEN": str(tmp_path), "TMPDIR": str(tmp_path)})
    if done.returncode == 78:
        pytest.skip(done.stderr)
    assert done.returncode == 1, done.stderr
    assert "--mode=" in (tmp_path / "words").read_text() and "s3cret" not in (tmp_path / "words").read_text()
    assert (tmp_path / "apt.conf").read_text() == 'Acquire::https::Proxy "http://me:s3cret@127.0.0.1:1";\n'
    assert set((tmp_path / "modes").read_text().split()) == {"600"}
