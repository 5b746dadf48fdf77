#!/usr/bin/env python3
"""A stand-in for any HTTPS site, or HTTP without --cert. Answers with a greeting and with the lengths of what it
received (and with all of it at /echo), and logs everything that it received, so that a test can search for what must
not arrive.

    site.py --listen 127.0.0.1:8444 --cert c.pem --key k.pem --log site.jsonl
"""

import argparse
import json
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from https_server import Handler, Server  # noqa: E402


class Site(Handler):
    def handle_any(self):
        body = self.body()
        self.server.record(event="request", method=self.command, path=self.path, host=self.headers.get("Host"),
                           headers=dict(self.headers), body=body[:65536].decode("latin-1"), bytes=len(body))
        size = self.path.rpartition("/bytes/")[2] if "/bytes/" in self.path else ""
        if size.isdigit():
            return self.reply(200, b"x" * min(int(size), 1 << 28), "application/octet-stream")
        if self.path.endswith("/echo"):
            return self.reply(200, {"headers": dict(self.headers), "body": body.decode("latin-1")})
        self.reply(200, "hello from %s (a stand-in); got %d bytes\n" % (self.headers.get("Host"), len(body)), "text/plain")

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = handle_any


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", default="127.0.0.1:8444", metavar="ADDR:PORT")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--log")
    args = parser.parse_args()
    host, _, port = args.listen.rpartition(":")
    server = Server((host.strip("[]"), int(port)), Site, args.cert, args.key, args.log)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    print(json.dumps({"listening": "%s:%d" % (host, server.server_port)}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
