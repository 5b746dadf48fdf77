"""Stand-ins for npm and mmdebstrap, so that `bottle image build` needs neither a network nor minutes."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

SELF = os.path.abspath(__file__)
PROGRAMS = ["sh", "cat", "chmod", "chown", "find", "grep", "id", "ln", "ls", "mkdir", "rm", "sleep"]
INTEGRITY = "sha512-" + "A" * 86 + "=="
NEWEST = "9.9.9"

NPM = """#!/bin/sh -e
while [ $# -gt 1 ]; do [ "$1" != --prefix ] || prefix=$2; shift; done
version=${1##*@}
[ "$version" != latest ] || version=%s
into=node_modules/@anthropic-ai/claude-code-linux-x64
mkdir -p "$prefix/$into"
cp "$FAKES/claude" "$prefix/$into/claude"
printf '{"packages":{"%%s":{"version":"%%s","integrity":"%s"}}}' "$into" "$version" >"$prefix/node_modules/.package-lock.json"
""" % (NEWEST, INTEGRITY)

# Checks that the program runs isolated in a container. `%s` is a file of this machine.
LOOK = """seen() {
  echo "$0 as $(id -u):" $(grep -E 'CapEff|NoNewPrivs' /proc/self/status) interfaces $(ls /sys/class/net) host $(ls -d %s 2>&1)
}
seen
"""


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, 0o755)


def copy_program(name, root):
    """Copies one of the machine's own programs, with its libraries."""
    path = shutil.which(name, path="/usr/bin:/bin:/usr/sbin")
    libraries = re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", path], capture_output=True, text=True).stdout)
    for source, target in [(path, "/usr/bin/" + name)] + [(lib, lib) for lib in libraries]:
        target = root + ("" if target.startswith("/usr/") else "/usr") + target
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy2(os.path.realpath(source), target)


def make(where, claude="exit 0"):
    """Makes the stand-ins and the files that they install. `claude` is the agent's program, a shell script. Returns the
    environment for a build."""
    system = os.path.join(where, "system")
    for name in PROGRAMS:
        copy_program(name, system)
    look = LOOK % where
    write(system + "/usr/bin/dpkg", "#!/bin/sh\n{\n" + look + "} >>/var/seen\n")
    for name in ("groupadd", "useradd"):  # the real programs, which need more of the kernel than others
        copy_program(name, system)
    for name in ("passwd", "group"):
        write(system + "/etc/" + name, "")
    os.makedirs(system + "/var/cache/apt/archives")
    os.mkdir(system + "/tmp", 0o1777)
    os.mkdir(system + "/home")
    set_claude(where, look + claude)
    write(os.path.join(where, "bin", "npm"), NPM)
    write(os.path.join(where, "bin", "mmdebstrap"), "#!/bin/sh\nexec %s %s \"$@\"\n" % (sys.executable, SELF))
    return {"PATH": os.path.join(where, "bin") + ":" + os.environ["PATH"], "FAKES": where}


def set_claude(where, text):
    write(os.path.join(where, "claude"), "#!/bin/sh\n" + text + "\n")


def mmdebstrap(arguments):
    """Makes the archive as mmdebstrap does with these hooks, from the stand-in's files."""
    out = next(word for word in arguments if word.endswith(".partial"))
    root = tempfile.mkdtemp(prefix="mmdebstrap.")
    os.makedirs(root + "/etc/apt/apt.conf.d")
    os.mkdir(root + "/etc/apt/sources.list.d")
    for path in arguments:
        if os.path.isfile(path):
            shutil.copyfile(path, root + "/etc/apt/sources.list.d/" + os.path.basename(path))
    for kind in ("setup", "extract"):
        for word in arguments:
            if word.startswith("--%s-hook=upload " % kind):
                _, outside, inside = word.split("=", 1)[1].split()
                shutil.copyfile(outside, root + inside)
            elif word.startswith("--%s-hook=" % kind):
                subprocess.run(["sh", "-c", word.split("=", 1)[1], "exec", root], check=True)
        if kind == "setup":
            subprocess.run(["cp", "-a", os.path.join(os.environ["FAKES"], "system", "."), root], check=True)
    if os.environ.get("FAKE_HANGS"):
        with open(os.environ["FAKE_HANGS"] + ".new", "w") as file:
            file.write(str(os.getpid()))
        os.rename(file.name, os.environ["FAKE_HANGS"])
        time.sleep(1000)
    subprocess.run(["tar", "-C", root, "-cf", out, "."], check=True)
    shutil.rmtree(root)


if __name__ == "__main__":
    mmdebstrap(sys.argv[1:])
