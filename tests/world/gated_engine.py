"""Unix sockets between bottle and dockerd."""

import contextlib
import os
import re
import select
import socket
import threading


class EngineSocket:
    """Passes connections on to the engine's socket. A subclass reads the beginning of each in `begin`."""

    def __init__(self, path, engine):
        self.path, self.engine = path, engine
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        os.unlink(self.path)

    def begin(self, client, engine):
        """Sends the engine the client's first bytes. Returns False if the connection is not passed on."""
        raise NotImplementedError

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, socket.socket(socket.AF_UNIX) as engine, contextlib.suppress(OSError):
            engine.connect(self.engine)
            if self.begin(client, engine):
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


class GatedEngine(EngineSocket):
    """Never answers a request whose "METHOD target" matches `hold`: the engine gets only its first bytes, and nothing
    more is read until the client leaves. With `answer`, the engine gets the whole head of the request, and the client
    gets that many bytes of its answer."""

    def __init__(self, path, engine, hold, answer=0):
        self.hold, self.answer = re.compile(hold), answer
        self.held = threading.Event()  # a request waits
        super().__init__(path, engine)

    def open(self):
        """From now on, passes every request on."""
        self.hold = None

    def begin(self, client, engine):
        begin = b""
        while b"\r\n" not in begin:
            some = client.recv(65536)
            if not some:
                return False
            begin += some
        held = self.hold and self.hold.search(begin.split(b"\r\n")[0].decode())
        while held and self.answer and b"\r\n\r\n" not in begin:
            begin += client.recv(65536)
        # `begin` may be all of it, and the engine must not carry it out.
        engine.sendall(begin[:-1] if held and not self.answer else begin)
        if held:
            passed = 0
            while passed < self.answer and (some := engine.recv(self.answer - passed)):
                client.sendall(some)
                passed += len(some)
            self.held.set()
            gone = select.poll()
            gone.register(client, select.POLLHUP)
            gone.poll()
        return not held
