"""Makes containers like those that `bottle` made, but with one change that weakens a wall. The program itself has no
switch for this."""

import contextlib
import copy
import http.client
import json
import os
import socket

import world as world_module
from gated_engine import EngineSocket


class Recorder(EngineSocket):
    """Passes everything on, and keeps the requests to create something."""

    def __init__(self, world, path):
        self.created = {}
        super().__init__(path, world.socket)

    def begin(self, client, engine):
        """Reads the head of one call, because `bottle` makes only one per connection."""
        head = b""
        while b"\r\n\r\n" not in head and (more := client.recv(65536)):
            head += more
        head, _, body = head.partition(b"\r\n\r\n")
        line = head.split(b"\r\n")[0].decode()
        if "/containers/create" in line or "/networks/create" in line:
            size = next((int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length:")), 0)
            while len(body) < size:
                body += client.recv(65536)
            self.created[line.rpartition("name=")[2].split(" ")[0] if "name=" in line else json.loads(body).get("Name")] = json.loads(body)
        engine.sendall(head + b"\r\n\r\n" + body)
        return True


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("engine")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Twins:
    """Makes twins of the containers and networks of one running session. They do not have a session's labels, and
    close() removes them."""

    def __init__(self, world, created, session):
        self.world, self.created, self.name, self.made = world, created, "bottle-" + session, []

    def close(self):
        for words in reversed(self.made):
            self.world.docker(*words, check=False)

    def post(self, path, body):
        connection = Connection(self.world.socket)
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        assert answer.status < 300, (path, answer.status, text)

    def network(self, change):
        body = copy.deepcopy(self.created[self.name])
        body.update(Name="twin-net", Labels={}, IPAM={"Driver": "default"})
        change(body)
        self.made.append(("network", "rm", "twin-net"))
        self.post("/networks/create", body)

    def container(self, role, change, network=None):
        """Creates a container without starting it. Returns its name."""
        body = copy.deepcopy(self.created["%s-%s" % (self.name, role)])
        name = "twin-%d" % len(self.made)
        body.update(Labels={}, Tty=False)
        host = body["HostConfig"]
        host["LogConfig"] = {"Type": "json-file"}
        host["Mounts"] = []
        host.pop("NetworkMode", None)
        body["NetworkingConfig"] = {"EndpointsConfig": {network or self.name: {}}}
        change(body)
        self.made.append(("rm", "-f", name))
        self.post("/containers/create?name=" + name, body)
        return name

    def attack(self, script, change=lambda body: None, network=None, guard=None):
        """Returns the output of an attack's script in a twin of the agent's container."""
        def as_script(body):
            body.update(Entrypoint=["bash", "-c", script], OpenStdin=False, AttachStdin=False, WorkingDir="/")
            body["Env"] += ["https_proxy=http://%s:3128" % (guard or self.address("guard"))]
            change(body)
        return self.world.docker("start", "-a", self.container("agent", as_script, network), check=False, timeout=480).stdout

    def address(self, role, name=None):
        found = self.world.engine("GET", "/containers/%s/json" % (name or "%s-%s" % (self.name, role)))
        return found["NetworkSettings"]["Networks"][self.name]["IPAddress"]

    def within(self, name, *command):
        """Runs a program of this machine in the network of a container."""
        pid = self.world.engine("GET", "/containers/%s/json" % name)["State"]["Pid"]
        return world_module.run("nsenter", "-t", str(pid), "-n", *command)


@contextlib.contextmanager
def twins(world, operator, until):
    """Runs a session in the background and yields its twins."""
    recorder = Recorder(world, os.path.join(operator.home, "recorder.sock"))
    process = operator.background("sleep 1800", variables={"DOCKER_HOST": "unix://" + recorder.path})
    try:
        assert until(lambda: any(c["Labels"].get("bottle.role") == "agent" and c["State"] == "running"
                                 for c in world.engine("GET", "/containers/json")), 60)
        made = Twins(world, recorder.created, operator.sessions()[0])
        try:
            yield made
        finally:
            made.close()
    finally:
        operator.bottle("stop")
        process.communicate(timeout=360)
        recorder.close()
