"""STAND-IN. The parts that the stand-ins of cloud APIs in this directory share: a server on 127.0.0.1 that keeps its
state, logs its requests, and fails on demand. It knows only the calls that the providers make and refuses all others,
so that a test cannot pass by accident."""

import argparse
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Fault:
    """The next `times` calls of `action` end with this status and body. With `after`, the call is first carried out,
    then its answer is lost. `until` is an event that the call waits for. Status 0 means that the call only waits and
    does not fail."""

    def __init__(self, action, status=0, code="", message="", times=1, after=False, until=None):
        self.action, self.status, self.code, self.message = action, status, code, message or "injected by a test"
        self.times, self.after, self.until = times, after, until


class Api:
    def __init__(self, port=0):
        self.lock, self.faults, self.requests = threading.RLock(), [], []
        self.started = time.time()
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, kind, answer = api.serve(self.command, self.path, self.headers, body)
                try:
                    self.send_response(status)
                    if status != 204:
                        self.send_header("Content-Type", kind)
                        self.send_header("Content-Length", str(len(answer)))
                    self.send_header("X-Stand-In", type(api).__name__)
                    self.end_headers()
                    self.wfile.write(answer)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # the caller was killed, which a test may intend

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = handle_any

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    # ---- for tests

    def fail(self, *args, **kwargs):
        self.faults.append(Fault(*args, **kwargs))

    def calls(self, action):
        return [request for request in self.requests if request["action"] == action]

    # ---- serving

    def serve(self, method, path, headers, body):
        try:
            action, arguments = self.parse(method, path, headers, body)
        except Refused as refused:
            return self.error(refused)
        with self.lock:
            self.requests.append({"action": action, "arguments": arguments, "at": time.time()})
            fault = next((f for f in self.faults if f.action in (action, "*") and f.times > 0), None)
            if fault:
                fault.times -= 1
        if fault and fault.until:
            fault.until.wait(120)
        if fault and fault.status and not fault.after:
            return self.error(Refused(fault.status, fault.code, fault.message))
        try:
            with self.lock:
                answer = self.act(action, arguments)
        except Refused as refused:
            return self.error(refused)
        if fault and fault.after:
            return self.error(Refused(fault.status, fault.code, fault.message))
        return answer

    def parse(self, method, path, headers, body):
        raise NotImplementedError

    def act(self, action, arguments):
        raise NotImplementedError

    def error(self, refused):
        raise NotImplementedError


class Refused(Exception):
    def __init__(self, status, code, message=""):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message or code


def answer_json(status, value):
    return status, "application/json", json.dumps(value).encode()


def serve_forever(kind):
    parser = argparse.ArgumentParser(description=kind.__doc__)
    parser.add_argument("--port", type=int, default=0)
    api = kind(port=parser.parse_args().port)
    print(api.url, flush=True)
    api.server.serve_forever()
