"""Tests real programs that speak HTTP/2 and gRPC through `bottle guard run` on this machine, without a session."""

import asyncio
import contextlib
import hashlib
import os
import re
import socket
import ssl
import subprocess
import threading
from concurrent import futures

import pytest

from local_guard import Server, need, run
from operators import wait_for

HOST = "site.example.org"


def inspecting(guard, at, **rule):
    return guard(egress={"allow": [{"host": HOST, "inspect": True, **rule}], "hosts": {HOST: at}})


def guard_process(through):
    """Returns the process id of the guard itself, which `bottle guard run` may have started as its child."""
    children = run("pgrep", "-P", str(through.process.pid)).stdout.split()
    return int(children[0]) if children else through.process.pid


def curl(through, *argv):
    return run("curl", "-sS", "-x", through.url, "--cacert", through.ca, *argv)


@pytest.fixture
def nghttpd(pki, tmp_path, request):
    """Starts an HTTP/2 server that serves a directory. A parameter has more options for it."""
    need("nghttpd")
    root = tmp_path / "root"
    root.mkdir()
    certificate, key = pki[1]
    with open(tmp_path / "nghttpd.log", "w") as log:
        server = subprocess.Popen(["nghttpd", *getattr(request, "param", []), "-v", "--echo-upload", "-d", str(root), "-a", "127.0.0.1", "0", key, certificate],
                                  stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def port():
        listening = run("ss", "-Hltnp").stdout.splitlines()
        return next((line.split()[3].rsplit(":", 1)[1] for line in listening if "pid=%d," % server.pid in line), None)

    assert wait_for(port, 20), (tmp_path / "nghttpd.log").read_text()
    yield root, "127.0.0.1:%s" % port()
    server.terminate()
    server.wait(360)


def test_curl_speaks_http2_to_a_server_of_http1(guard, pki):
    server = Server(pki[1])
    through = inspecting(guard, server.at)
    got = curl(through, "-w", " %{http_version}", "https://%s/" % HOST)
    server.close()
    assert got.stdout == "ok 2", (got, through.audit())
    assert server.seen == ["GET / HTTP/1.1"]


def test_curl_speaks_http2_to_a_server_of_http2_and_the_rules_apply_to_each_request(guard, nghttpd, tmp_path):
    root, at = nghttpd
    (root / "a").mkdir()
    (root / "a" / "large").write_bytes(os.urandom(20 << 20))
    through = inspecting(guard, at, methods=["GET"], paths=["/a/**"])
    got = curl(through, "-w", "%{http_code} %{http_version}\n", "-o", str(tmp_path / "got"), "https://%s/a/large" % HOST, "-o", os.devnull,
               "https://%s/b" % HOST)
    assert got.stdout == "200 2\n403 2\n", (got, through.audit())
    digest = hashlib.sha256((tmp_path / "got").read_bytes()).digest()
    assert digest == hashlib.sha256((root / "a" / "large").read_bytes()).digest()
    assert [line["path"] for line in through.audit() if line["kind"] == "http"] == ["/a/large", "/b"]


def test_a_large_upload_comes_back_whole(guard, nghttpd, tmp_path):
    through = inspecting(guard, nghttpd[1])
    (tmp_path / "up").write_bytes(os.urandom(20 << 20))
    got = curl(through, "-T", str(tmp_path / "up"), "-X", "POST", "-o", str(tmp_path / "down"), "-w", "%{http_code}", "https://%s/" % HOST)
    assert got.stdout == "200", (got, through.audit())
    assert (tmp_path / "up").read_bytes() == (tmp_path / "down").read_bytes()


@pytest.mark.parametrize("nghttpd", [[], ["-m", "1"]], indirect=True, ids=["", "to a server that takes them one by one"])
def test_httpx_makes_many_requests_at_the_same_time(guard, nghttpd):
    httpx = pytest.importorskip("httpx")
    pytest.importorskip("h2")
    root, at = nghttpd
    (root / "x").write_text("hello")
    through = inspecting(guard, at)

    async def fetch():
        async with httpx.AsyncClient(http2=True, http1=False, timeout=120, verify=ssl.create_default_context(cafile=through.ca), trust_env=False,
                                     proxies=through.url) as client:
            return await asyncio.gather(*(client.get("https://%s/x" % HOST) for _ in range(60)))

    answers = asyncio.run(fetch())
    assert {(each.text, each.http_version) for each in answers} == {("hello", "HTTP/2")}


@pytest.fixture
def grpc_server(pki):
    grpc = pytest.importorskip("grpc")

    def fail(request, context):
        context.set_trailing_metadata((("x-detail", "more"),))
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now")

    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(lambda request, context: request[::-1]),
        "Down": grpc.unary_stream_rpc_method_handler(lambda request, context: (b"%d" % i for i in range(100))),
        "Up": grpc.stream_unary_rpc_method_handler(lambda requests, context: b"".join(requests)),
        "Both": grpc.stream_stream_rpc_method_handler(lambda requests, context: (each + b"!" for each in requests)),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
    }
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", handlers),))
    leaf, key = (open(name, "rb").read() for name in pki[1])
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, leaf)]))
    server.start()
    yield "127.0.0.1:%d" % port
    server.stop(None)


@pytest.fixture
def channel(guard, grpc_server):
    grpc = pytest.importorskip("grpc")
    through = inspecting(guard, grpc_server, methods=["POST"], paths=["/test.Echo/*"])
    credentials = grpc.ssl_channel_credentials(open(through.ca, "rb").read())
    with grpc.secure_channel(HOST + ":443", credentials, options=[("grpc.http_proxy", through.url)]) as made:
        yield made


def test_grpc_calls_of_all_four_kinds(channel):
    assert channel.unary_unary("/test.Echo/Unary")(b"abc", timeout=120) == b"cba"
    assert list(channel.unary_stream("/test.Echo/Down")(b"", timeout=120)) == [b"%d" % i for i in range(100)]
    assert channel.stream_unary("/test.Echo/Up")(iter([b"a" * 100_000] * 20), timeout=120) == b"a" * 2_000_000
    # Each message is answered before the next one is sent.
    asked = futures.Future()

    def requests():
        yield b"first"
        assert asked.result(120) == b"first!"
        yield b"second"

    answers = channel.stream_stream("/test.Echo/Both")(requests(), timeout=120)
    asked.set_result(next(answers))
    assert list(answers) == [b"second!"]


def test_grpc_statuses_of_the_server_and_of_the_guard_arrive(channel):
    grpc = pytest.importorskip("grpc")
    with pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary("/test.Echo/Fail")(b"", timeout=120)
    assert failed.value.code() == grpc.StatusCode.FAILED_PRECONDITION and failed.value.details() == "not now"
    assert ("x-detail", "more") in [(each.key, each.value) for each in failed.value.trailing_metadata()]
    with pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary("/other.Service/Call")(b"", timeout=120)
    assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED, refused.value


class Silent:
    """An HTTP/2 server that accepts requests and does not answer them."""

    def __init__(self, certificate):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.at = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)
        self.context.set_alpn_protocols(["h2"])
        self.seen = []  # a list, because several threads add to it
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        try:
            while True:
                connection = self.context.wrap_socket(self.listener.accept()[0], server_side=True)
                threading.Thread(target=self.take, args=(connection,), daemon=True).start()
        except OSError:
            pass

    def take(self, connection):
        from h2.config import H2Configuration
        from h2.connection import H2Connection
        from h2.events import RequestReceived
        from h2.exceptions import ProtocolError
        http = H2Connection(H2Configuration(client_side=False))
        http.initiate_connection()
        connection.sendall(http.data_to_send())
        with contextlib.suppress(OSError, ProtocolError):  # the library does not accept a reset after a GOAWAY
            while piece := connection.recv(65536):
                self.seen.extend(event for event in http.receive_data(piece) if isinstance(event, RequestReceived))
                connection.sendall(http.data_to_send())


def test_an_idle_stream_costs_at_most_16_kilobytes(guard, pki):
    pytest.importorskip("h2")
    from h2.connection import H2Connection
    server = Silent(pki[1])
    through = inspecting(guard, server.at)

    def connect():
        proxy = socket.create_connection(("127.0.0.1", through.port))
        proxy.sendall(b"CONNECT %s:443 HTTP/1.1\r\nHost: %s:443\r\n\r\n" % (HOST.encode(), HOST.encode()))
        assert b" 200 " in proxy.recv(4096)
        context = ssl.create_default_context(cafile=through.ca)
        context.set_alpn_protocols(["h2"])
        return context.wrap_socket(proxy, server_hostname=HOST)

    def ask(connections, streams):
        for connection, http in connections:
            for _ in range(streams):
                http.send_headers(http.get_next_available_stream_id(),
                                  [(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/x")], end_stream=True)
            connection.sendall(http.data_to_send())

    def memory():
        with open("/proc/%d/smaps_rollup" % guard_process(through)) as file:
            return int(re.search(r"^Pss_Anon:\s+(\d+)", file.read(), re.M).group(1))

    connections = [(connect(), H2Connection()) for _ in range(5)]
    for connection, http in connections:
        http.initiate_connection()
        connection.sendall(http.data_to_send())
    ask(connections, 5)
    assert wait_for(lambda: len(server.seen) == 25, 30), through.audit()
    before = memory()
    ask(connections, 90)
    assert wait_for(lambda: len(server.seen) == 475, 30), through.audit()
    each = (memory() - before) / 450
    print("an idle stream costs %.1f KB" % each)
    assert each <= 16


def tunnel(listener, proxy_port):
    """Passes each connection to the listener through a separate tunnel."""

    def copy(source, target):
        try:
            while piece := source.recv(65536):
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
        except OSError:  # a reset, which the other side must see
            with contextlib.suppress(OSError):
                target.shutdown(socket.SHUT_RDWR)

    def serve():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            proxy = socket.create_connection(("127.0.0.1", proxy_port))
            proxy.sendall(b"CONNECT %s:443 HTTP/1.1\r\nHost: %s:443\r\n\r\n" % (HOST.encode(), HOST.encode()))
            answer = b""
            while not answer.endswith(b"\r\n\r\n"):
                answer += proxy.recv(1)
            for pair in ((client, proxy), (proxy, client)):
                threading.Thread(target=copy, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()


def test_h2spec_reports_no_failure(guard, nghttpd, tmp_path):
    """Runs the conformance tests of h2spec against the guard, if `go install github.com/summerwind/h2spec/cmd/h2spec@latest` has
    installed them. For h2spec, the host's name leads to a relay."""
    need("h2spec")
    root, at = nghttpd
    (root / "index.html").write_text("hello")
    through = inspecting(guard, at)
    (tmp_path / "hosts").write_text("127.0.0.3 %s\n" % HOST)
    with socket.create_server(("127.0.0.3", 443)) as listener:
        tunnel(listener, through.port)
        done = run("unshare", "-m", "sh", "-c", 'mount --bind "$1" /etc/hosts && exec h2spec -t -k -h "$2" -p 443 -o 20', "-",
                   str(tmp_path / "hosts"), HOST, timeout=1200)
    assert done.returncode == 0, done.stdout[-3000:]
