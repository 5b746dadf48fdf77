"""A container engine that puts the same hostile text into every answer. It has enough of the Engine API for `bottle` to
ask and to print the answers.

    with Engine(path, "words"): ...   # serves the unix socket `path` inside the block
"""

import http.server
import json
import socketserver
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "unix"

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Api-Version", "1.41")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        words, path = self.server.words, self.path.split("?")[0]
        if path == "/_ping":
            return self.answer(200, "OK")
        if path.endswith("/info"):
            return self.answer(200, {"ServerVersion": words, "DefaultRuntime": words, "Runtimes": {"runc": {}, words: {}}, "Architecture": words,
                                     "Driver": words, "CgroupVersion": words, "CgroupDriver": words, "OperatingSystem": words,
                                     "SecurityOptions": ["name=" + words], "MemoryLimit": False})
        labels = {"bottle.image": words, "bottle.agent": words, "bottle.session": words, "bottle.owner": words, "bottle.ledger": words}
        if path.endswith("/images/json"):
            return self.answer(200, [{"Id": "sha256:" + words, "RepoTags": ["bottle-agent-claude:" + words], "Labels": labels, "Created": 1, "Size": 1},
                                     {"Id": words, "RepoTags": None, "Labels": labels, "Created": 1, "Size": 1}])
        if path.endswith("/containers/json"):
            return self.answer(200, [{"Id": words, "Names": ["/bottle-" + words], "ImageID": words, "Labels": labels, "State": words}])
        if path.endswith("/networks/none"):
            return self.answer(200, {"Id": words, "Name": "none"})
        if path.endswith("/networks"):
            return self.answer(200, [{"Id": words, "Name": "bottle-" + words, "Labels": labels}])
        if path.endswith("/volumes"):
            return self.answer(200, {"Volumes": [{"Name": "bottle-" + words, "Labels": labels}]})
        return self.answer(404 if "/images/" in path else 500, {"message": words})

    def refuse(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer(500, {"message": self.server.words})

    do_POST = do_DELETE = do_PUT = do_HEAD = refuse


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class Engine:
    def __init__(self, path, words):
        self.server = Server(path, Handler)
        self.server.words = words

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
