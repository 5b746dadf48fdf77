"""The guard's figures: `bottle guard run` against a plain splice relay (blind tunnels) and against nginx (inspected
ones)."""

import hashlib
import json
import os
import resource
import subprocess
import tempfile
import time

import compared
import processes
from figures import figure, median
from processes import Program, free_port, holding, standing

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BOTTLE = os.environ.get("BOTTLE", os.path.join(ROOT, "build", "release", "bottle"))
TOOLS = os.path.join(os.environ.get("BENCH_TOOLS", os.path.join(ROOT, "build", "release", "bench")), "bench_")
BLIND, INSPECTED = "blind.bench.example", "inspected.bench.example"  # names in the configuration; no name server is asked for them
ANSWER = 2000  # bytes of a blind tunnel's answer, about as many as a server's first flight has


def load(mode, **options):
    return processes.load(TOOLS + "load", mode, **options)


WITH_TOKEN = {**os.environ, "BENCH_TOKEN": "bench-token-0123456789abcdef"}  # the secret in the guard's configuration


class Field:
    """The servers, the guard, and the programs that it is compared with. Each is started when it is first used."""

    def __init__(self, bench):
        self.bench = bench
        directory = tempfile.TemporaryDirectory(prefix="bottle-bench-")
        self.dir = directory.name
        bench.stack.callback(directory.cleanup)
        self.parts = {}

    def part(self, name):
        if name not in self.parts:
            self.parts[name] = getattr(self, "_" + name)()
        return self.parts[name]

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def start(self, name, argv, port, **kwargs):
        return Program(self.bench.stack, argv, port, self.path(name + ".log"), **kwargs)

    # -- servers

    def _certificates(self):
        def openssl(*args):
            subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=self.dir)
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=Bench CA", "-keyout", "ca.key", "-out", "ca.pem")
        openssl("req", *key, "-subj", "/CN=bench", "-keyout", "leaf.key", "-out", "leaf.csr")
        with open(self.path("san"), "w") as file:
            file.write("subjectAltName=DNS:" + INSPECTED)
        openssl("x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "san",
                "-out", "leaf.pem")
        return self.path("ca.pem")

    def origin(self, answer):
        """Starts a TCP server for blind tunnels. With answer 0, its answer never ends."""
        port = free_port()
        return self.start("origin", [TOOLS + "origin", "127.0.0.1:%d" % port, str(answer)], port)

    def _answering(self):
        return self.origin(ANSWER)

    def _flooding(self):
        return self.origin(0)

    def nginx(self, name, body):
        """Starts nginx with one process, its own directory and no log."""
        where = self.path(name)
        os.makedirs(where)
        with open(os.path.join(where, "nginx.conf"), "w") as file:
            file.write("""
daemon off; master_process off; pid %(where)s/pid; error_log %(where)s/error.log error;
events { worker_connections 12000; }
http {
  access_log off; server_tokens off; keepalive_requests 10000000; keepalive_timeout 600s;
  client_body_temp_path %(where)s/t1; proxy_temp_path %(where)s/t2; fastcgi_temp_path %(where)s/t3; uwsgi_temp_path %(where)s/t4;
  scgi_temp_path %(where)s/t5;
  ssl_certificate %(dir)s/leaf.pem; ssl_certificate_key %(dir)s/leaf.key; ssl_protocols TLSv1.2 TLSv1.3;
%(body)s
}
""" % {"where": where, "dir": self.dir, "body": body})
        port = int(body.split("listen 127.0.0.1:")[1].split()[0].rstrip(";"))
        return self.start(name, ["nginx", "-p", where, "-c", os.path.join(where, "nginx.conf"), "-e", os.path.join(where, "error.log")], port)

    def _site(self):
        """Starts the HTTPS server for everything that is inspected."""
        self.part("certificates")
        return self.nginx("site", """
  server { listen 127.0.0.1:%d ssl; server_name _; location / { default_type text/plain; return 200 "%s"; } }
""" % (free_port(), "x" * 1024))

    def _bodies(self):
        """Starts a server of large bodies, which reads and writes as fast as it can."""
        self.part("certificates")
        port = free_port()
        return self.start("bodies", [TOOLS + "site", "serve", "--listen", "127.0.0.1:%d" % port, *self.leaf()], port)

    def leaf(self):
        return ["--cert", self.path("leaf.pem"), "--key", self.path("leaf.key")]

    def _reencrypting_bodies(self):
        """Starts an nginx that passes on bodies as they arrive, in both directions."""
        site = self.part("bodies")
        return self.nginx("reencrypting-bodies", """
  upstream site { server 127.0.0.1:%d; keepalive 64; }
  server { listen 127.0.0.1:%d ssl; server_name _; client_max_body_size 0; location / {
    proxy_pass https://site; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_ssl_name %s; proxy_ssl_server_name on;
    proxy_request_buffering off; proxy_max_temp_file_size 0; proxy_set_header Host %s; } }
""" % (site.port, free_port(), INSPECTED, INSPECTED))

    def _storing(self):
        """Starts a site that stores what is uploaded with PUT."""
        self.part("certificates")
        os.makedirs(self.path("stored"))
        os.chmod(self.dir, 0o755)
        os.chmod(self.path("stored"), 0o777)  # nginx drops its root privileges
        site = self.nginx("storing", """
  server { listen 127.0.0.1:%d ssl http2; server_name _; root %s; client_max_body_size 0; location / { dav_methods PUT; } }
""" % (free_port(), self.path("stored")))
        return site

    def _reencrypting(self):
        """Starts nginx between client and site, with TLS on both sides and default settings: without a pool of upstream
        connections, so each new client connection makes a new one upstream. nginx resumes its TLS session, as the guard
        does."""
        site = self.part("site")
        return self.nginx("reencrypting", """
  server { listen 127.0.0.1:%d ssl; server_name _; location / {
    proxy_pass https://127.0.0.1:%d; proxy_ssl_name %s; proxy_ssl_server_name on; proxy_set_header Host %s; } }
""" % (free_port(), site.port, INSPECTED, INSPECTED))

    def _reencrypting_kept(self):
        """Does the same with a pool of upstream connections, as the guard keeps the one of each client connection."""
        site = self.part("site")
        return self.nginx("reencrypting-kept", """
  upstream site { server 127.0.0.1:%d; keepalive 64; keepalive_requests 10000000; }
  server { listen 127.0.0.1:%d ssl; server_name _; location / {
    proxy_pass https://site; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_ssl_name %s; proxy_ssl_server_name on;
    proxy_set_header Host %s; } }
""" % (site.port, free_port(), INSPECTED, INSPECTED))

    # -- the guard, and the relay

    def guard_command(self, port, blind_port=1, site_port=1):
        config, ca_out = self.path("guard-%d.yaml" % port), self.path("guard-ca-%d.pem" % port)
        # Configures one secret for another host: everything that is inspected is scanned for it.
        rules = {"allow": [BLIND, {"host": INSPECTED, "inspect": True}],
                 "hosts": {BLIND: ["127.0.0.1:%d" % blind_port], INSPECTED: ["127.0.0.1:%d" % site_port]}}
        with open(config, "w") as file:
            json.dump({"egress": rules, "secrets": {"token": {"from": "env:BENCH_TOKEN", "hosts": ["other.bench.example"]}}}, file)  # every JSON text is YAML
        argv = [BOTTLE, "guard", "run", "--listen", "127.0.0.1:%d" % port, "--config", config, "--ca-out", ca_out, "--audit", self.path("audit.jsonl")]
        if "certificates" in self.parts:
            argv += ["--upstream-ca", self.parts["certificates"]]
        return argv, ca_out

    def guard(self, blind=None, site=None):
        port = free_port()
        argv, ca = self.guard_command(port, blind.port if blind else 1, site.port if site else 1)
        guard = self.start("guard", argv, port, env=WITH_TOKEN)
        until = time.time() + 10  # it starts to listen shortly before it writes its certificate
        while not (os.path.exists(ca) and os.path.getsize(ca)) and time.time() < until:
            time.sleep(0.01)
        guard.ca = ca
        return guard

    def _guard_answering(self):
        return self.guard(blind=self.part("answering"))

    def _guard_flooding(self):
        return self.guard(blind=self.part("flooding"))

    def _guard_inspecting(self):
        return self.guard(site=self.part("site"))

    def _guard_bodies(self):
        return self.guard(site=self.part("bodies"))

    def relay(self, upstream, *more):
        port = free_port()
        return self.start("relay", [TOOLS + "relay", "127.0.0.1:%d" % port, "127.0.0.1:%d" % upstream.port, *more], port)

    def _relay_answering(self):
        return self.relay(self.part("answering"))

    def _relay_flooding(self):
        # Uses 256 KB instead of the kernel's 64 KB, because a relay then moves a third more with the same CPU.
        return self.relay(self.part("flooding"), str(256 * 1024))


    # -- for --compare; None for a program that is not installed

    def _tinyproxy(self):
        return compared.tinyproxy(self)

    def _squid(self):
        return compared.squid(self)

    def _squid_inspecting(self):
        self.part("certificates")
        return compared.squid(self, inspecting=True)

    def _mitmproxy(self):
        self.part("certificates")
        return compared.mitmproxy(self)

    def others(self, measure, *names):
        """Returns {name: a function that measures it}, for Bench.ratio."""
        there = {name: self.part(name) for name in names} if self.bench.compare else {}
        return {name: lambda program=program: measure(program) for name, program in there.items() if program}


def field(bench):
    return bench.once("field", lambda: Field(bench))


def at(program):
    return "127.0.0.1:%d" % program.port


def cpu_each(program, count, **options):
    """Returns the microseconds of the program's CPU time per operation of a load."""
    before = program.cpu()
    done = load(count=count, to="127.0.0.1:%d" % program.port, **options)
    return (program.cpu() - before) * 1e6 / done["count"]


@figure("blind_bulk_ratio", 0.95, "x", "guard", "bytes through blind tunnels for a second of the proxy's CPU, of a plain splice relay's", at_least=True)
def blind_bulk_ratio(bench):
    # Measures CPU, not bytes per second: on two cores that clients and servers share, the rate would measure the
    # scheduler.
    f = field(bench)
    guard, relay = f.part("guard_flooding"), f.part("relay_flooding")
    clock = {guard: [], relay: []}

    def rate(program):
        before = program.cpu()
        ours = program is guard or program is relay
        done = load("bulk", to="127.0.0.1:%d" % program.port, target=BLIND + ":443" if ours else at(f.part("flooding")), threads=2, seconds=0.4)
        if ours:
            clock[program].append(done["bytes"] / done["seconds"] / 1e6)
        return done["bytes"] / (program.cpu() - before) / 1e6
    value = bench.ratio(lambda: rate(guard), lambda: rate(relay), rounds=24, form="%.0f MB", **f.others(rate, "tinyproxy", "squid"))
    bench.note("by the clock: %.0f MB/s, of the relay's %.0f MB/s: %.2f" % (
        median(clock[guard]), median(clock[relay]), median([a / b for a, b in zip(clock[guard], clock[relay], strict=False)])))
    return value


@figure("connect_cpu_ratio", 1.2, "x", "guard", "CPU per new CONNECT (tunnel, ClientHello, 2 KB answer, close), of a plain splice relay's")
def connect_cpu_ratio(bench):
    f = field(bench)
    guard, relay = f.part("guard_answering"), f.part("relay_answering")

    def cost(program):
        ours = program is guard or program is relay
        return cpu_each(program, 1500, mode="connect", target=BLIND + ":443" if ours else at(f.part("answering")), answer=ANSWER)
    return bench.ratio(lambda: cost(guard), lambda: cost(relay), rounds=16, form="%.0f us", **f.others(cost, "tinyproxy", "squid"))


@figure("handshake_cpu_ratio", 1.2, "x", "guard", "CPU per new inspected connection (TLS on both sides, one GET), of nginx's re-encrypting without a pool")
def handshake_cpu_ratio(bench):
    f = field(bench)
    nginx, guard = f.part("reencrypting"), f.part("guard_inspecting")
    site = f.part("site")

    def cost(program):
        if program is nginx:
            return cpu_each(nginx, 400, mode="handshake", host=INSPECTED, ca=f.part("certificates"))
        # A proxy without fixed addresses connects to the port of the request.
        ca, port = (guard.ca, 443) if program is guard else (f.part("certificates"), site.port)
        return cpu_each(program, 400, mode="handshake", host=INSPECTED, ca=ca, target="%s:%d" % (INSPECTED, port))
    return bench.ratio(lambda: cost(guard), lambda: cost(nginx), rounds=20, form="%.0f us", **f.others(cost, "squid_inspecting", "mitmproxy"))


@figure("inspected_get_ratio", 0.75, "x", "guard", "1 KB GETs a second over kept connections, of nginx's re-encrypting with kept ones", at_least=True)
def inspected_get_ratio(bench):
    f = field(bench)
    nginx, guard = f.part("reencrypting_kept"), f.part("guard_inspecting")
    spent = {guard: [], nginx: []}

    def rate(program):
        ca = guard.ca if program is guard else f.part("certificates")
        target = None if program is nginx else "%s:%d" % (INSPECTED, 443 if program is guard else f.part("site").port)
        before = program.cpu()
        done = load("get", to="127.0.0.1:%d" % program.port, host=INSPECTED, ca=ca, target=target, threads=8, seconds=0.5)
        if program in spent:
            spent[program].append((program.cpu() - before) / done["count"])
        return done["count"] / done["seconds"]
    value = bench.ratio(lambda: rate(guard), lambda: rate(nginx), rounds=24, form="%.0f a second", **f.others(rate, "squid_inspecting", "mitmproxy"))
    bench.note("GETs per second of the proxy's own CPU: %.2f of nginx's" % median([b / a for a, b in zip(spent[guard], spent[nginx], strict=False)]))
    return value


def transfer_ratio(bench, mode, path, body):
    """Returns the rate of transfers of 100 MB through the guard, relative to nginx. Also notes the CPU time that they
    take."""
    f = field(bench)
    nginx, guard = f.part("reencrypting_bodies"), f.part("guard_bodies")
    spent = {guard: [], nginx: []}
    size, each = 100_000_000, 1

    def rate(program):
        ca = guard.ca if program is guard else f.part("certificates")
        target = None if program is nginx else "%s:%d" % (INSPECTED, 443 if program is guard else f.part("bodies").port)
        before = program.cpu()
        done = load(mode, to=at(program), host=INSPECTED, ca=ca, target=target, path=path, bytes=size, count=each, body=body)
        if program in spent:
            spent[program].append((program.cpu() - before) / (each + 1) / size * 1e9)
        return done["bytes"] / done["seconds"] / 1e6
    value = bench.ratio(lambda: rate(guard), lambda: rate(nginx), rounds=10, form="%.0f MB/s", **f.others(rate, "squid_inspecting", "mitmproxy"))
    ours, theirs = median(spent[guard]), median(spent[nginx])
    bench.note("CPU per byte: %.2f ns, nginx %.2f ns" % (ours, theirs))
    return value


@figure("inspected_down_ratio", 0.8, "x", "guard", "rate of 100 MB downloads that are inspected, of nginx's re-encrypting", at_least=True)
def inspected_down_ratio(bench):
    return transfer_ratio(bench, "down", "/packed/", None)


@figure("inspected_up_ratio", 0.8, "x", "guard", "rate of 100 MB uploads that are scanned, of nginx's re-encrypting", at_least=True)
def inspected_up_ratio(bench):
    return transfer_ratio(bench, "up", "/", "packed")


@figure("inspected_text_up_ratio", 0.5, "x", "guard", "the same for text", at_least=True)
def inspected_text_up_ratio(bench):
    return transfer_ratio(bench, "up", "/", "text")


class At:
    """A server with a known address that does not run yet."""

    def __init__(self):
        self.port = free_port()


@figure("event_delay_us", 100, "us", "guard", "what inspection adds to the delay of a server-sent event, median")
def event_delay_us(bench):
    f = field(bench)
    f.part("certificates")
    server = At()
    guard = f.guard(site=server)
    options = ["--listen", at(server), *f.leaf(), "--host", INSPECTED, "--count", "200"]

    def delay(*more):
        done = subprocess.run([TOOLS + "site", "events", *options, *more], capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError(done.stderr[-600:])
        return json.loads(done.stdout)["median_us"]
    taken = bench.in_turn(bench.rounds(12), ours=lambda: delay("--to", at(guard), "--target", INSPECTED + ":443", "--ca", guard.ca),
                          theirs=lambda: delay("--to", at(server), "--ca", f.part("certificates")))
    bench.note("median %.0f us, without the guard %.0f us" % (median(taken["ours"]), median(taken["theirs"])))
    return median([a - b for a, b in zip(taken["ours"], taken["theirs"], strict=True)])


@figure("h2_stream_kb", 16, "KB", "guard", "resident memory of an idle HTTP/2 stream, on both sides")
def h2_stream_kb(bench):
    f = field(bench)
    f.part("certificates")
    server = At()
    guard = f.guard(site=server)

    def resident(count):
        argv = [TOOLS + "site", "streams", "--listen", at(server), *f.leaf(), "--host", INSPECTED, "--to", at(guard), "--target",
                INSPECTED + ":443", "--ca", guard.ca, "--count", str(count)]
        with standing(argv):
            time.sleep(0.3)
            return guard.resident()
    few = resident(5)
    return (resident(450) - few) / 1000 / 445


@figure("whole_bodies", 4, "of 4", "guard", "500 MB downloads and uploads of curl with HTTP/1.1 and HTTP/2 that arrive with an equal checksum", at_least=True)
def whole_bodies(bench):
    f = field(bench)
    site = f.part("storing")
    guard = f.guard(site=site)
    up, stored, down = f.path("up"), f.path("stored", "body"), f.path("down")
    subprocess.run("head -c 500000000 /dev/urandom >" + up, shell=True, check=True)  # noqa: S602
    curl = ["curl", "-sS", "--fail", "-x", "http://" + at(guard), "--cacert", guard.ca, "-w", "%{http_version} %{speed_upload} %{speed_download}"]

    def digest(path):
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    wanted, whole = digest(up), 0
    for version in ("--http1.1", "--http2"):
        notes = []
        for more, made in ((["-T", up], stored), (["-o", down], down)):
            notes.append(subprocess.run([*curl, version, *more, "https://%s/body" % INSPECTED], capture_output=True, text=True, timeout=300).stdout)
            whole += digest(made) == wanted
        bench.note("version of HTTP, bytes a second up and down: %s; %s" % tuple(notes))
        os.unlink(stored)
        os.unlink(down)
    os.unlink(up)
    return whole


@figure("h2_up_ratio", 0.5, "x", "guard", "rate of 100 MB uploads of curl with HTTP/2 through the guard, of those with HTTP/1.1", at_least=True)
def h2_up_ratio(bench):
    f = field(bench)
    site = f.part("storing")
    guard = f.guard(site=site)
    up = f.path("up")
    subprocess.run("head -c 100000000 /dev/urandom >" + up, shell=True, check=True)  # noqa: S602
    through = ["-x", "http://" + at(guard), "--cacert", guard.ca]
    direct = ["--cacert", f.part("certificates"), "--connect-to", "%s:443:%s" % (INSPECTED, at(site))]

    def rate(version, way):
        done = subprocess.run(["curl", "-sS", "--fail", version, *way, "-w", "%{speed_upload}", "-T", up, "-o", os.devnull, "https://%s/body" % INSPECTED],
                              capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise RuntimeError(done.stderr[-600:])
        return float(done.stdout) / 1e6
    taken = bench.in_turn(bench.rounds(12), ours=lambda: rate("--http2", through), theirs=lambda: rate("--http1.1", through),
                          direct=lambda: rate("--http2", direct), direct1=lambda: rate("--http1.1", direct))
    os.unlink(up)
    bench.note("HTTP/2 %.0f MB/s, HTTP/1.1 %.0f MB/s; without the guard %.0f and %.0f MB/s" % tuple(median(taken[each]) for each in taken))
    return median([a / b for a, b in zip(taken["ours"], taken["theirs"], strict=True)])


@figure("guard_idle_mb", 9.5, "MB", "guard", "resident memory of a guard that has nothing to do")
def guard_idle_mb(bench):
    f = field(bench)
    guard = f.guard()
    time.sleep(0.3)
    return guard.resident() / 1e6


@figure("first_connect_ms", 10, "ms", "guard", "from starting `bottle guard run` to its answer to a first CONNECT, fastest quarter")
def first_connect_ms(bench):
    f = field(bench)
    origin = f.part("answering")
    taken = []
    for i in range(bench.rounds(40)):
        bench.progress("first_connect_ms: round %d" % (i + 1))
        port = free_port()
        argv, _ = f.guard_command(port, origin.port)
        done = subprocess.run([TOOLS + "load", "first", "--to", "127.0.0.1:%d" % port, "--target", BLIND + ":443", "--", *argv],
                              capture_output=True, text=True, timeout=60, env=WITH_TOKEN)
        if done.returncode:
            raise RuntimeError(done.stderr[-600:])
        taken.append(json.loads(done.stdout)["seconds"] * 1000)
    taken.sort()
    bench.note("fastest %.1f, median %.1f, slowest %.1f, %d starts" % (taken[0], median(taken), taken[-1], len(taken)))
    return taken[len(taken) // 4]  # load on the machine can only increase the value


def idle_cost(guard, mode, count=500, **options):
    """Returns the KB of resident memory that each of `count` idle connections adds to a guard that has served one."""
    options.update(to="127.0.0.1:%d" % guard.port)
    with holding(TOOLS + "load", mode, count=1, **options):
        pass  # contexts, roots and a leaf are made once and do not count as a connection's
    time.sleep(0.2)
    before = guard.resident()
    with holding(TOOLS + "load", mode, count=count, **options):
        time.sleep(0.3)
        return (guard.resident() - before) / 1000 / count


@figure("idle_tunnel_kb", 12, "KB", "guard", "resident memory of an idle blind tunnel")
def idle_tunnel_kb(bench):
    f = field(bench)
    guard = f.guard(blind=f.part("answering"))  # a new guard, because memory from earlier work would hide what is used now
    return idle_cost(guard, "hold", target=BLIND + ":443", answer=ANSWER)


@figure("idle_inspected_kb", 40, "KB", "guard", "resident memory of an idle inspected connection, after one GET")
def idle_inspected_kb(bench):
    f = field(bench)
    guard = f.guard(site=f.part("site"))
    return idle_cost(guard, "hold-tls", host=INSPECTED, ca=guard.ca, target=INSPECTED + ":443")


def held(bench, key):
    """Holds as many tunnels as this machine allows, up to 10,000. Returns the KB of each, and the factor by which that
    grows while others open and close."""
    most = min(10_000, (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 200) // 2)  # the guard uses two descriptors for each tunnel
    f = field(bench)
    blind = key == "blind"
    guard = f.guard(blind=f.part("answering")) if blind else f.guard(site=f.part("site"))
    mode, options = ("hold", {"target": BLIND + ":443", "answer": ANSWER}) if blind else \
        ("hold-tls", {"host": INSPECTED, "ca": guard.ca, "target": INSPECTED + ":443"})
    options["to"] = at(guard)
    come_and_go = {**options, "mode": "connect" if blind else "handshake", "count": 1000}
    load(**come_and_go)
    before = guard.resident()
    with holding(TOOLS + "load", mode, count=most, **options):
        time.sleep(1)
        first = guard.resident() - before
        for _ in range(bench.rounds(8)):
            load(**come_and_go)
            time.sleep(1 if bench.quick else 5)
        last = guard.resident() - before
    guard.end()
    bench.note("%d %s tunnels: %.1f KB each at first, %.1f KB after others came and went" % (most, key, first / 1000 / most, last / 1000 / most))
    if most < 9_000:
        raise RuntimeError("the limit of open files allows only %d tunnels" % most)
    return last / 1000 / most, last / first


@figure("held_tunnel_kb", 12, "KB", "guard", "resident memory of each of 10,000 idle blind tunnels")
def held_tunnel_kb(bench):
    return bench.once("held blind", lambda: held(bench, "blind"))[0]


@figure("held_inspected_kb", 40, "KB", "guard", "resident memory of each of 10,000 idle inspected connections")
def held_inspected_kb(bench):
    return bench.once("held inspected", lambda: held(bench, "inspected"))[0]


@figure("held_growth", 1.02, "x", "guard", "memory of 10,000 tunnels after thousands of others came and went, of the memory before")
def held_growth(bench):
    return max(bench.once("held " + key, lambda key=key: held(bench, key))[1] for key in ("blind", "inspected"))
