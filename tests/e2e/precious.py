"""What an attacker's labels and ledgers name: an owner that is dead, and things that belong to no session (the fixture
`precious`)."""

import json
import os

EVIL = "evil:1"


def dead_owner():
    """Returns a label that an attacker could guess: a process of this user from an earlier boot."""
    return "%d:4242:17:00000000-0000-0000-0000-000000000000" % os.getuid()


def ledger_text(precious, session, results):
    records = [{"owner": dead_owner()}, {"engine": os.environ.get("DOCKER_HOST", "")},
               {"make": [{"kind": "volume", "name": "precious-data"}, {"kind": "container", "name": "precious"},
                         {"kind": "network", "name": "precious-net"}, {"kind": "ssh-agent", "name": precious.socket}]},
               {"work": {"source": "/", "workdir": "/", "base": "", "results": results, "far": False}}]
    return "".join(json.dumps(record) + "\n" for record in records)
