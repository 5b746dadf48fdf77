#!/usr/bin/env python3
"""STAND-IN for the Hetzner Cloud API, with the part of its JSON that the real `hcloud` command needs to create, show
and delete one server with a firewall and a key. Nothing boots, and the prices are invented. Like the real API, it has
the same paths, fields and error codes, unique names, label selectors, pages (of two, if tests make many things),
actions that take time, and firewalls that are in use as long as their server exists."""

import json
import os
import re
import sys
import time
from urllib.parse import parse_qs, urlsplit

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cloud import Api, Refused, answer_json, serve_forever  # noqa: E402

TOKEN = "t" * 64
PAGE = 2
KINDS = {"servers": "server", "firewalls": "firewall", "ssh_keys": "ssh_key", "volumes": "volume", "primary_ips": "primary_ip",
         "server_types": "server_type", "images": "image", "locations": "location"}
LOCATION = {"id": 1, "name": "nbg1", "description": "Nuremberg", "country": "DE", "city": "Nuremberg", "latitude": 49.4, "longitude": 11.0,
            "network_zone": "eu-central"}


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())


def a_type(number, name, cores, memory, price, **more):
    return {"id": number, "name": name, "description": name, "cores": cores, "memory": memory, "disk": 40, "deprecated": False,
            "storage_type": "local", "cpu_type": "shared", "architecture": "x86", "included_traffic": 0,
            "prices": [{"location": "nbg1", "price_hourly": {"net": price, "gross": price}, "price_monthly": {"net": "1", "gross": "1"}}], **more}


class HcloudApi(Api):
    def __init__(self, port=0, start_seconds=0, end_seconds=0):
        super().__init__(port)
        self.start_seconds, self.end_seconds, self.keep_address, self.count = start_seconds, end_seconds, False, 100
        self.things = {kind: {} for kind in KINDS}
        self.actions = {}
        self.token = TOKEN
        for kind in (a_type(1, "old1", 2, 4.0, "0.0010", deprecated=True), a_type(2, "big2", 8, 16.0, "0.0200"),
                     a_type(3, "fit3", 2, 4.0, "0.0060"), a_type(4, "tiny4", 1, 2.0, "0.0030")):
            self.things["server_types"][kind["id"]] = kind
        self.things["images"][1] = {"id": 1, "type": "system", "status": "available", "name": "debian-12", "description": "Debian 12",
                                    "image_size": None, "disk_size": 5, "created": now(), "os_flavor": "debian", "os_version": "12",
                                    "rapid_deploy": True, "architecture": "x86", "labels": {}, "protection": {"delete": False},
                                    "created_from": None, "bound_to": None, "deprecated": None, "deleted": None}
        self.things["locations"][1] = LOCATION

    def parse(self, method, path, headers, body):
        if headers.get("Authorization") != "Bearer " + self.token:
            raise Refused(401, "unauthorized", "unable to authenticate")
        parts = urlsplit(path)
        found = re.fullmatch(r"/v1/([a-z_]+)(?:/(\d+))?", parts.path)
        if not found or (found[1] not in KINDS and found[1] != "actions"):
            raise Refused(404, "not_found", "the stand-in does not know " + parts.path)
        verb = {"GET": "get" if found[2] else "list", "POST": "create", "DELETE": "delete"}.get(method, method)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        return "%s %s" % (found[1], verb), {"id": int(found[2] or 0), "query": query, "body": json.loads(body) if body else {}}

    def error(self, refused):
        if not refused.code:  # sent by a proxy in front of the API
            return refused.status, "text/html", b"<html><title>Bad Gateway</title></html>"
        return answer_json(refused.status, {"error": {"code": refused.code, "message": refused.message, "details": {}}})

    def act(self, action, arguments):
        kind, verb = action.split(" ")
        self.grow()
        if kind == "actions":
            return answer_json(200, {"action": self.action_now(arguments["id"])} if verb == "get" else
                               {"actions": [self.action_now(a) for a in self.actions]})
        if verb == "list":
            return self.page(kind, arguments["query"])
        if verb == "create":
            return getattr(self, "create_" + kind)(arguments["body"])
        thing = self.things[kind].get(arguments["id"])
        if not thing:
            raise Refused(404, "not_found", "%s with ID '%d' not found" % (KINDS[kind], arguments["id"]))
        if verb == "get":
            return answer_json(200, {KINDS[kind]: self.shown(thing)})
        return self.delete(kind, thing)

    # ---- changes over time

    def grow(self):
        for server in list(self.things["servers"].values()):
            if server["status"] == "initializing" and time.time() - server["_since"] >= self.start_seconds:
                server["status"] = "running"
            if server["status"] == "deleting" and time.time() - server["_since"] >= self.end_seconds:
                del self.things["servers"][server["id"]]
                for ip in [ip for ip in self.things["primary_ips"].values() if ip["assignee_id"] == server["id"]]:
                    ip["assignee_id"] = None
                    if ip["auto_delete"] and not self.keep_address:
                        del self.things["primary_ips"][ip["id"]]

    def action(self, command):
        self.count += 1
        self.actions[self.count] = {"id": self.count, "command": command, "status": "running", "progress": 0, "started": now(), "finished": None,
                                    "resources": [], "error": None}
        return dict(self.actions[self.count])

    def action_now(self, key):
        action = self.actions[key]
        action.update(status="success", progress=100, finished=now())
        return action

    # ---- the calls

    def page(self, kind, query):
        found = [thing for thing in self.things[kind].values() if selected(thing, query.get("label_selector", ""))
                 and query.get("name", thing["name"]) == thing["name"]]
        size = 25 if kind in ("server_types", "images", "locations") else PAGE  # the real default, and one that tests can reach
        page, last = int(query.get("page", 1)), max(1, -(-len(found) // size))
        meta = {"pagination": {"page": page, "per_page": size, "previous_page": page - 1 or None, "next_page": page + 1 if page < last else None,
                               "last_page": last, "total_entries": len(found)}}
        return answer_json(200, {kind: [self.shown(t) for t in found[(page - 1) * size:page * size]], "meta": meta})

    @staticmethod
    def shown(thing):
        return {key: value for key, value in thing.items() if not key.startswith("_")}

    def new(self, kind, body, **fields):
        if any(thing["name"] == body["name"] for thing in self.things[kind].values()):
            raise Refused(409, "uniqueness_error", "%s name is already used" % KINDS[kind])
        self.count += 1
        thing = {"id": self.count, "name": body["name"], "labels": body.get("labels") or {}, "created": now(), **fields}
        self.things[kind][thing["id"]] = thing
        return thing

    def create_firewalls(self, body):
        thing = self.new("firewalls", body, rules=body["rules"], applied_to=[])
        return answer_json(201, {"firewall": self.shown(thing), "actions": []})

    def create_ssh_keys(self, body):
        if any(key["public_key"] == body["public_key"] for key in self.things["ssh_keys"].values()):
            raise Refused(409, "uniqueness_error", "SSH key with the same fingerprint already exists")
        return answer_json(201, {"ssh_key": self.shown(self.new("ssh_keys", body, public_key=body["public_key"], fingerprint="00"))})

    def create_servers(self, body):
        def chosen(kind, wanted):
            for thing in self.things[kind].values():
                if str(wanted) in (str(thing["id"]), thing["name"]):
                    return thing
            raise Refused(422, "invalid_input", "no %s %r" % (kind, wanted))
        for firewall in body["firewalls"]:
            chosen("firewalls", firewall["firewall"])
        for key in body["ssh_keys"]:
            chosen("ssh_keys", key)
        server = self.new("servers", body, status="initializing", _since=time.time(), _asked=body, server_type=chosen("server_types", body["server_type"]),
                          image=chosen("images", body["image"]), datacenter={"id": 1, "name": "nbg1-dc3", "description": "", "location": LOCATION,
                          "server_types": {"supported": [], "available": [], "available_for_migration": []}},
                          private_net=[], iso=None, rescue_enabled=False, locked=False, backup_window=None, outgoing_traffic=0, ingoing_traffic=0,
                          included_traffic=0, protection={"delete": False, "rebuild": False}, volumes=[], load_balancers=[], primary_disk_size=40,
                          placement_group=None)
        ips = {}
        for family, ip in (("ipv4", "203.0.113.7"), ("ipv6", "2001:db8::/64")):
            address = self.new("primary_ips", {"name": "primary_ip-%d-%s" % (server["id"], family)}, ip=ip, type=family, auto_delete=True,
                               assignee_id=server["id"], assignee_type="server", blocked=False, dns_ptr=[], protection={"delete": False},
                               datacenter=server["datacenter"])
            ips[family] = {"id": address["id"], "ip": ip, "blocked": False, "dns_ptr": "" if family == "ipv4" else []}
        server["public_net"] = {**ips, "floating_ips": [], "firewalls": [{"id": f["firewall"], "status": "applied"} for f in body["firewalls"]]}
        return answer_json(201, {"server": self.shown(server), "action": self.action("create_server"), "next_actions": [],
                                 "root_password": None if body["ssh_keys"] else "made-by-the-stand-in"})

    def delete(self, kind, thing):
        if kind == "servers":
            if thing["status"] != "deleting":
                thing.update(status="deleting", _since=time.time())
            self.grow()
            return answer_json(200, {"action": self.action("delete_server")})
        if kind == "firewalls" and any(thing["id"] in [f["firewall"] for f in s["_asked"]["firewalls"]] for s in self.things["servers"].values()):
            raise Refused(422, "resource_in_use", "firewall with ID '%d' is still in use" % thing["id"])
        del self.things[kind][thing["id"]]
        return 204, "application/json", b""


def selected(thing, selector):
    """Applies label selectors: `key` or `key=value`, several separated by commas."""
    labels = thing.get("labels") or {}
    for term in filter(None, selector.split(",")):
        key, has_value, value = term.partition("=")
        if key not in labels or (has_value and labels[key] != value):
            return False
    return True


if __name__ == "__main__":
    serve_forever(HcloudApi)
