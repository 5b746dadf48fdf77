"""A hostile agent looks for a way out. The `operator` fixture checks the canaries afterwards; these tests also check
what the agent itself sees."""

import re
import subprocess

import pytest

TARGETS = ("$gateway $base.1 172.17.0.1 203.0.113.2 203.0.113.1 "
           "169.254.169.254 10.0.0.1 192.168.1.1 172.31.255.1 100.100.100.200 1.1.1.1 8.8.8.8 20.30.40.10 20.30.40.53")

PROBES = r"""
each() { if [ -n "$GENTLE" ]; then try "$@"; else try "$@" & fi; }
try() { timeout ${GENTLE:-4} bash -c "exec 3<>/dev/tcp/$1/$2" 2>/dev/null && echo "REACHED tcp $1 $2"; }
gateway=$(python3 -c 'import socket, struct
for line in open("/proc/net/route").read().splitlines()[1:]:
    if line.split()[1] == "00000000": print(socket.inet_ntoa(struct.pack("<L", int(line.split()[2], 16))))' | head -n 1)
guard=${https_proxy#http://}; guard=${guard%%:*}
own=$(python3 -c 'import socket, sys
s = socket.create_connection((sys.argv[1], 3128), 60); print(s.getsockname()[0])' "$guard")
base=${own%.*}
echo "own $own gateway $gateway"
for to in TARGETS; do
  for port in $PORTS; do each $to $port; done
  for port in 53 443 123; do echo probe > /dev/udp/$to/$port; done 2>/dev/null
  wait
done
for to in 2606:4700:4700::1111 fe80::1%eth0 fd00:ec2::254 2001:db8:113::1; do each $to 80; done; wait
for to in $NEIGHBORS; do for port in $PORTS; do
  [ "$base.$to:$port" = "$guard:53" ] || each $base.$to $port  # the guard answers the bottle's own names there
done; done; wait
getent hosts forbidden.example.net && echo "REACHED dns forbidden"
getent hosts allowed.example.org && echo "REACHED dns allowed"
timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.11/53' 2>/dev/null && echo "note: engine DNS answers over TCP"
for path in /var/run/docker.sock /run/docker.sock; do test ! -e $path || echo "REACHED engine socket"; done
true
""".replace("TARGETS", TARGETS)

PRIVILEGES = r"""
grep -E 'Cap(Eff|Prm|Bnd|Amb)' /proc/self/status
grep NoNewPrivs /proc/self/status
id -u
python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3)' 2>/dev/null && echo "REACHED packet socket"
python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)' 2>/dev/null && echo "REACHED raw socket"
python3 -c 'import socket, fcntl, struct
s = socket.socket(); fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", b"eth0", 0))' 2>/dev/null && echo "REACHED interface flags"
mount -t tmpfs none /mnt 2>/dev/null && echo "REACHED mount"
sudo -n true 2>/dev/null && echo "REACHED sudo"
echo 1 > /proc/sys/net/ipv4/ip_forward 2>/dev/null && echo "REACHED sysctl"
unshare -Urn true 2>/dev/null && echo "note: user namespaces"
true
"""


# Many simultaneous connects kill Debian's gVisor (2022-12, host network): its sandbox exits with status 2 after a panic
# in Go, and the agent dies too. A dead agent cannot probe further, so under gVisor it makes one connection at a time.
WAYS = {"runc": 'GENTLE= PORTS="22 53 80 443 2375 4243 9000" NEIGHBORS=$(seq 1 14)\n',
        "runsc": 'GENTLE=2 PORTS="53 80" NEIGHBORS="1 2 4 5 6"\n'}


def test_no_way_out(operator, runtime):
    session = operator.start(WAYS[runtime] + PROBES + "echo all probes ran\n", runtime=runtime, timeout=1200)
    assert session.status == 0, session.explain()
    assert "all probes ran" in session.out, session.explain()
    assert re.search(r"^own \d+\.\d+\.\d+\.\d+ ", session.out, re.M), "the probes knew no address: " + session.explain()
    assert [line for line in session.out.splitlines() if line.startswith("REACHED")] == []


def test_no_privileges(operator, runtime):
    session = operator.start(PRIVILEGES, runtime=runtime)
    assert session.status == 0, session.explain()
    assert "REACHED" not in session.out
    capabilities = [line.split()[1] for line in session.out.splitlines() if line.startswith("Cap")]
    assert len(capabilities) == (4 if runtime == "runc" else 3) and all(int(c, 16) == 0 for c in capabilities), session.out  # gVisor shows no ambient set
    assert "0" not in session.out.split("\n"), "uid 0"
    if runtime == "runc":  # gVisor does not show the flag in /proc
        assert "NoNewPrivs:\t1" in session.out


def test_the_guard_is_not_a_router(operator, until):
    """Facts 15 and 16: the guard must drop a packet that is addressed to another host. Adding a route needs a
    capability that the agent lacks, so this checks that the agent can request nothing of the kind, and the guard's
    sysctl."""
    process = operator.background("sleep 600")
    try:
        world = operator.world
        def guards():
            running = world.engine("GET", "/containers/json")
            return any(c["Labels"].get("bottle.role") == "agent" for c in running) and [
                c for c in running if c["Labels"].get("bottle.role") == "guard"]
        until(guards, 60)
        found = guards()
        assert found, "no guard runs"
        inspected = world.engine("GET", "/containers/%s/json" % found[0]["Id"])
        host = inspected["HostConfig"]
        assert host["ReadonlyRootfs"] is True
        assert host.get("CapDrop") and [c.upper() for c in host["CapDrop"]] == ["ALL"]
        assert inspected["Config"]["User"].split(":")[0] not in ("", "0", "root")
        value = subprocess.run(["nsenter", "-t", str(inspected["State"]["Pid"]), "-n", "cat", "/proc/sys/net/ipv4/ip_forward"],
                               capture_output=True, text=True)
        assert value.stdout.strip() == "0", value
    finally:
        operator.bottle("stop")
        process.communicate(timeout=360)


LIMITS = {"memory": "head -c 600m /dev/zero | tail | wc -c; echo survived",
          "pids": "for i in $(seq 200); do sleep 5 & done 2>/dev/null; ls -d /proc/[0-9]* | wc -l; kill $(jobs -p) 2>/dev/null; true"}


@pytest.mark.parametrize("field", ["memory", "pids"])
def test_limits_are_enforced(operator, field):
    session = operator.start(LIMITS[field], resources={"memory": "200m", "pids": 60, "cpus": 1})
    if field == "pids":
        numbers = [int(word) for word in session.out.split() if word.isdigit()]
        assert not numbers or max(numbers) <= 62, session.explain()
    else:
        assert str(600 << 20) not in session.out, session.explain()
