"""A way to an engine that keeps chosen requests waiting: a Unix socket between bottle and dockerd."""

import contextlib
import os
import re
import select
import socket
import threading


class GatedEngine:
    """Passes connections on to the engine's socket. A request whose "METHOD target" matches `hold` is never answered: the engine
    gets its first bytes only, and nothing reads on, until the client leaves."""

    def __init__(self, path, engine, hold):
        self.path, self.engine, self.hold = path, engine, re.compile(hold)
        self.held = threading.Event()  # a request waits
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        os.unlink(self.path)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, socket.socket(socket.AF_UNIX) as engine, contextlib.suppress(OSError):
            engine.connect(self.engine)
            begin = b""
            while b"\r\n" not in begin:
                some = client.recv(65536)
                if not some:
                    return
                begin += some
            held = self.hold.search(begin.split(b"\r\n")[0].decode())
            engine.sendall(begin[:-1] if held else begin)  # `begin` may be all of it, and the engine must not carry it out
            if held:
                self.held.set()
                gone = select.poll()
                gone.register(client, select.POLLHUP)
                gone.poll()
                return
            self._pass(client, engine)

    @staticmethod
    def _pass(client, engine):
        ways = {client: engine, engine: client}
        while ways:
            for end in select.select(list(ways), [], [])[0]:
                data = end.recv(65536)
                if data:
                    ways[end].sendall(data)
                    continue
                with contextlib.suppress(OSError):
                    ways[end].shutdown(socket.SHUT_WR)
                del ways[end]
                if end is engine:
                    return
