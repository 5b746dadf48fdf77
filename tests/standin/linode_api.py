#!/usr/bin/env python3
"""STAND-IN for Linode's API, with the part of its JSON that the real `linode-cli` needs to create, show and delete one
Linode with a firewall. Nothing boots."""

import json
import os
import re
import sys
from urllib.parse import parse_qs, urlsplit

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cloud import Api, Refused, answer_json, serve_forever  # noqa: E402

TOKEN = "x" * 64
PAGE = 25  # the smallest page that the API supports


class LinodeApi(Api):
    def __init__(self, port=0):
        super().__init__(port)
        self.things, self.count = {"linode/instances": {}, "networking/firewalls": {}}, 100

    def parse(self, method, path, headers, body):
        if headers.get("Authorization") != "Bearer " + TOKEN:
            raise Refused(401, "", "Invalid Token")
        parts = urlsplit(path)
        found = re.fullmatch(r"/v4(?:beta)?/(linode/instances|networking/firewalls)(?:/(\d+))?", parts.path)
        if not found or method not in ("GET", "POST", "DELETE"):
            raise Refused(404, "", "the stand-in does not know %s %s" % (method, parts.path))
        return "%s %s" % (method, found[1]), {"id": int(found[2] or 0), "page": int(parse_qs(parts.query).get("page", ["1"])[0]),
                                              "body": json.loads(body) if body else {}}

    def error(self, refused):
        return answer_json(refused.status, {"errors": [{"reason": refused.message}]})

    def act(self, action, arguments):
        method, kind = action.split(" ")
        things, body = self.things[kind], arguments["body"]
        if method == "GET":
            for thing in things.values():
                thing["status"] = {"provisioning": "running"}.get(thing["status"], thing["status"])
            shown = [{k: v for k, v in thing.items() if k != "_asked"} for thing in things.values()]
            first = (arguments["page"] - 1) * PAGE
            return answer_json(200, {"data": shown[first:first + PAGE], "page": arguments["page"], "pages": max(1, -(-len(shown) // PAGE)),
                                     "results": len(shown)})
        if method == "DELETE":
            if not things.pop(arguments["id"], None):
                raise Refused(404, "", "Not found")
            return answer_json(200, {})
        if any(thing["label"] == body["label"] for thing in things.values()):
            raise Refused(400, "", "Label must be unique among your things")
        self.count += 1
        thing = {"id": self.count, "label": body["label"], "tags": body["tags"], "created": "2026-01-01T00:00:00", "_asked": body}
        if kind == "linode/instances":
            if body["firewall_id"] not in self.things["networking/firewalls"] or not body["root_pass"]:
                raise Refused(400, "", "invalid")
            thing.update(status="provisioning", ipv4=["192.168.1.1", "203.0.113.8"], ipv6="2001:db8::1/128", region=body["region"], type=body["type"],
                         image=body["image"])
        else:
            thing.update(status="enabled", rules=body["rules"])
        things[thing["id"]] = thing
        return answer_json(200, {k: v for k, v in thing.items() if k != "_asked"})


if __name__ == "__main__":
    serve_forever(LinodeApi)
