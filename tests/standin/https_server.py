"""A small threaded HTTPS server for the stand-ins. The handshake runs in the connection's own thread, so that a silent
client does not block the others. Uses only the standard library."""

import http.server
import json
import socket
import socketserver
import ssl
import threading
import time


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, address, handler, cert=None, key=None, log=None):
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)
        self.context = None
        if cert:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(cert, key)
        self.log_lock = threading.Lock()
        self.log_file = open(log, "a", buffering=1) if log else None

    def server_bind(self):  # HTTPServer's version looks up this machine's name, which a test world may not resolve
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def process_request_thread(self, request, client_address):
        try:
            request.settimeout(60)
            if self.context:
                request = self.context.wrap_socket(request, server_side=True)
        except (OSError, ssl.SSLError) as error:
            self.record(event="handshake_failed", peer=client_address[0], error=str(error))
            request.close()
            return
        super().process_request_thread(request, client_address)

    def handle_error(self, request, client_address):
        pass  # it is normal that peers disconnect

    def record(self, **fields):
        if self.log_file:
            with self.log_lock:
                self.log_file.write(json.dumps({"time": time.time(), **fields}) + "\n")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "bottle-standin"
    sys_version = ""
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            data = b""
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                data += self.rfile.read(size)
                self.rfile.readline()
                if size == 0:
                    return data
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def reply(self, status, data, kind="application/json", headers=()):
        if not isinstance(data, bytes):
            data = (data if isinstance(data, str) else json.dumps(data)).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Stand-In", "bottle tests; not the real service")
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
