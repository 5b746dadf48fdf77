"""Makes the corpus on which the scanner is judged: leaks of all combinations of kinds, encodings, places and splits,
and harmless traffic of tools. The same seed makes the same corpus. The kinds follow the vendors' descriptions and share
nothing with the rules of src/scan."""

import base64
import dataclasses
import hashlib
import json
import random
import string
import zlib

from harmless import harmless  # noqa: F401  (part of this module's interface)

ALNUM, HEX, UPPER32 = string.ascii_letters + string.digits, "0123456789abcdef", string.ascii_uppercase + "234567"
URLSAFE, B64 = ALNUM + "-_", ALNUM + "+/"
KNOWN = {
    "DEPLOY_KEY": "n3Vq-8fLwZt0_RkYp2XhJm",
    "DB_SECRET": "uW7%eR:9kQ/pL2&xZ4=vB",
    "LONG": "zT4hWm8Rk2Lx7Pq1Vn5Bj3Cs6Dg0FyNaEuHiJoKlMpQrStUvWxYz1234567890abQ",
}


@dataclasses.dataclass
class Case:
    name: str
    data: bytes
    leak: bool
    secret: bytes = b""
    begin: int = 0  # where the secret begins in `data`
    # The parts are sent one after another instead of `data`: as requests, or as messages or fragments of one WebSocket
    # connection.
    parts: list = dataclasses.field(default_factory=list)
    way: str = "request"  # "request", "message" or "fragment"


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def of(self, alphabet, count):
        return "".join(self.random.choice(alphabet) for _ in range(count))

    def uuid(self):
        return "-".join(self.of(HEX, n) for n in (8, 4, 4, 4, 12))

    def kinds(self):
        """Returns a new secret of each kind."""
        of, pick = self.of, self.random.choice
        jwt = ".".join(
            base64.urlsafe_b64encode(part).decode().rstrip("=")
            for part in (
                b'{"alg":"RS256","typ":"JWT","kid":"1"}',
                json.dumps({"sub": of(ALNUM, 12), "exp": 1999999999}).encode(),
                self.random.randbytes(64),
            )
        )
        pem = base64.encodebytes(self.random.randbytes(600)).decode()
        return {
            **{"known-" + name.lower(): value for name, value in KNOWN.items()},
            "github": pick(["ghp_", "gho_", "ghs_"]) + of(ALNUM, 36),
            "github-fine": "github_pat_" + of(ALNUM, 22) + "_" + of(ALNUM, 59),
            "gitlab": "glpat-" + of(URLSAFE, 20),
            "npm": "npm_" + of(ALNUM, 36),
            "pypi": "pypi-AgEIcHlwaS5vcmc" + of(URLSAFE, 120),
            "aws-id": pick(["AKIA", "ASIA"]) + of(UPPER32, 16),
            "aws-secret": "aws_secret_access_key=" + of(B64, 40),
            "gcp-key": "AIza" + of(URLSAFE, 35),
            "google-oauth": "ya29." + of(URLSAFE, 100),
            "azure": "AccountKey=" + of(B64, 86) + "==",
            "slack": "xoxb-" + of(string.digits, 12) + "-" + of(string.digits, 13) + "-" + of(ALNUM, 24),
            "stripe": pick(["sk_live_", "rk_live_"]) + of(ALNUM, pick([24, 99])),
            "openai": "sk-proj-" + of(URLSAFE, 120),
            "openai-old": "sk-" + of(ALNUM, 20) + "T3BlbkFJ" + of(ALNUM, 20),
            "anthropic": "sk-ant-api03-" + of(URLSAFE, 93) + "AA",
            "anthropic-oauth": "sk-ant-oat01-" + of(URLSAFE, 93) + "AA",
            "huggingface": "hf_" + of(string.ascii_letters, 34),
            "jwt": jwt,
            "sendgrid": "SG." + of(URLSAFE, 22) + "." + of(URLSAFE, 43),
            "twilio": "SK" + of(HEX, 32),
            "digitalocean": "dop_v1_" + of(HEX, 64),
            "vault": "hvs." + of(URLSAFE, 95),
            "databricks": "dapi" + of(HEX, 32),
            "linear": "lin_api_" + of(ALNUM, 40),
            "telegram": of(string.digits.replace("0", "1"), 10) + ":AA" + of(URLSAFE, 33),
            "shopify": "shpat_" + of(HEX, 32),
            "mailgun": "key-" + of(HEX, 32),
            "newrelic": "NRAK-" + of(UPPER32, 27),
            "postman": "PMAK-" + of(HEX, 24) + "-" + of(HEX, 34),
            "rubygems": "rubygems_" + of(HEX, 48),
            "docker-hub": "dckr_pat_" + of(URLSAFE, 27),
            "groq": "gsk_" + of(ALNUM, 52),
            "replicate": "r8_" + of(ALNUM, 37),
            "notion": "ntn_" + of(string.digits, 11) + of(ALNUM, 35),
            "sentry": "sntryu_" + of(HEX, 64),
            "grafana": "glsa_" + of(ALNUM, 32) + "_" + of(HEX, 8),
            "age": "AGE-SECRET-KEY-1" + of("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58),
            "private-key": "-----BEGIN RSA PRIVATE KEY-----\n" + pem + "-----END RSA PRIVATE KEY-----\n",
            "openssh-key": "-----BEGIN OPENSSH PRIVATE KEY-----\n" + pem + "-----END OPENSSH PRIVATE KEY-----\n",
            "database-url": "postgresql://service:" + of(ALNUM, 18) + "@db.corp.example:5432/main",
            "git-url": "https://x-access-token:" + of(ALNUM, 40) + "@git.example.net/a/b.git",
            "npmrc": "//registry.example.net/:_authToken=" + of(ALNUM, 30),
            "netrc": "machine git.example.net login bot password " + of(ALNUM, 20),
            "docker-auth": '{"auths":{"r.example.net":{"auth":"'
            + base64.b64encode(("bot:" + of(ALNUM, 24)).encode()).decode()
            + '"}}}',
            "kubeconfig": "client-key-data: LS0tLS1CRUdJTi" + of(B64, 400),
            "env": pick(["CLIENT_SECRET", "API_TOKEN", "SIGNING_KEY_SECRET", "DB_PASSWORD"])
            + "="
            + of(ALNUM, 15)
            + "7"
            + of(ALNUM, 16),
            "env-quoted": 'DB_PASSWORD="k9' + chr(92) + '"' + of(ALNUM, 18) + '"',
            "name-value": '{"name": "API_TOKEN", "value": "' + of(ALNUM, 12) + "7" + of(ALNUM, 12) + '"}',
            "xml-element": "<password>" + of(ALNUM, 12) + "7" + of(ALNUM, 12) + "</password>",
            "option": "tool --api-key " + of(ALNUM, 12) + "7" + of(ALNUM, 12) + " run",
            "sql": "ALTER USER app WITH PASSWORD '" + of(ALNUM, 12) + "7" + of(ALNUM, 12) + "';",
            "typed": 'const apiKey: string = "' + of(ALNUM, 12) + "7" + of(ALNUM, 12) + '";',
            "key-body": "MIIEpAIBAAKCAQEA" + of(B64, 700),
            "slack-client": "xoxc-" + of(string.digits, 12) + "-" + of(string.digits, 13) + "-" + of(HEX, 64),
            "resend": "re_" + of(ALNUM, 8) + "_" + of(ALNUM, 24),
            "aiven": "AVNS_" + of(URLSAFE, 19),
            "jetbrains": "perm-" + of(ALNUM, 12) + "." + of(ALNUM, 8) + "." + of(ALNUM, 42),
            "swarm": "SWMTKN-1-" + of(HEX, 50) + "-" + of(HEX, 25),
            "neon": "napi_" + of(string.ascii_lowercase + string.digits, 64),
        }


def percent(data, fmt="%%%02X"):
    return "".join(fmt % byte for byte in data).encode()


def some_percent(data):
    return "".join(chr(b) if chr(b) in ALNUM + "-._~" else "%%%02X" % b for b in data).encode()


def b64(data):
    return base64.b64encode(data)


def lines(data, width, end):
    """Cuts the text or the bytes into lines, with `end` between them."""
    return end.join(data[i : i + width] for i in range(0, len(data), width))


def xxd(data):
    rows = [data[i : i + 16] for i in range(0, len(data), 16)]
    return "".join(
        "%08x: %-39s  %s\n" % (16 * i, row.hex(" ", -2), "".join(chr(b) if 32 <= b < 127 else "." for b in row))
        for i, row in enumerate(rows)
    ).encode()


def full_width(data):
    return "".join(chr(b + 0xFEE0) if 0x21 <= b < 0x7F else chr(b) for b in data).encode()


ENCODINGS = {
    "raw": lambda d: d,
    "base64": b64,
    "base64-later": lambda d: b64(b"x=" + d + b" end"),
    "base64url": lambda d: base64.urlsafe_b64encode(d).rstrip(b"="),
    "base64-lines": lambda d: lines(b64(b"some text before it, " + d + b" and some text after"), 76, b"\n"),
    "base64-twice": lambda d: b64(b64(d)),
    "base32": base64.b32encode,
    "hex": lambda d: d.hex().encode(),
    "hex-upper": lambda d: d.hex().upper().encode(),
    "hex-colons": lambda d: d.hex(":").encode(),
    "hex-spaces": lambda d: d.hex(" ").encode(),
    "hex-0x": lambda d: ", ".join("0x%02x" % b for b in d).encode(),
    "percent": percent,
    "percent-usual": some_percent,
    "percent-twice": lambda d: percent(d, "%%25%02X"),
    "unicode": lambda d: percent(d, "\\u%04x"),
    "entities": lambda d: percent(d, "&#%d;"),
    "backslash-x": lambda d: percent(d, "\\x%02x"),
    "utf-16": lambda d: d.decode().encode("utf-16-le"),
    "gzip": lambda d: zlib.compress(d, wbits=31),
    "zlib": zlib.compress,
    "gzip-base64": lambda d: b64(zlib.compress(d, wbits=31)),
    "json": lambda d: json.dumps(d.decode())[1:-1].encode(),
    "base64-short-lines": lambda d: lines(b64(b"some text before it, " + d + b" and after it"), 12, b"\n"),
    "base64-groups": lambda d: lines(b64(b"text before it, " + d + b" and after it"), 8, b" "),
    "base64-lines-in-list": lambda d: lines(b64(b"some text before it, " + d + b" and after it"), 20, b"\n- "),
    "base32-lines": lambda d: lines(base64.b32encode(d + b" and some text after it"), 40, b"\n"),
    "base32-groups": lambda d: lines(base64.b32encode(d), 4, b"-"),
    "hex-lines": lambda d: lines((d + b" and after it").hex().encode(), 60, b"\n"),
    "hex-words": lambda d: d.hex(" ", -2).encode(),
    "hex-quotes": lambda d: '", "'.join("%02x" % b for b in d).encode(),
    "xxd": xxd,
    "binary": lambda d: "".join(format(b, "08b") for b in d).encode(),
    "zero-width": lambda d: "\u200b".join(d.decode()).encode(),
    "full-width": full_width,
    "base64-percent": lambda d: percent(b64(d)),
    "hex-base64": lambda d: b64(d.hex().encode()),
}
BINARY = {"utf-16", "gzip", "zlib"}


def in_json(text):
    try:
        return json.dumps(text.decode())[1:-1].encode()
    except UnicodeDecodeError:
        return json.dumps(text.decode("latin-1"))[1:-1].encode()


PLACES = {
    "body": lambda d: d,
    "json": lambda d: b'{"model":"m","messages":[{"role":"user","content":"look: ' + in_json(d) + b'"}]}',
    "json-key": lambda d: b'{"' + in_json(d) + b'": 1, "b": [2, 3]}',
    "form": lambda d: b"name=a&value=" + some_percent(d) + b"&submit=1",
    "query": lambda d: b"GET /search?lang=en&q=" + some_percent(d) + b"&page=2 HTTP/1.1\r\nHost: a.example\r\n\r\n",
    "path": lambda d: b"GET /v1/items/" + some_percent(d) + b"/view HTTP/1.1\r\nHost: a.example\r\n\r\n",
    "header": lambda d: b"GET / HTTP/1.1\r\nHost: a.example\r\nX-Trace: "
    + d.replace(b"\r", b"").replace(b"\n", b" ")
    + b"\r\n\r\n",
    "cookie": lambda d: b"GET / HTTP/1.1\r\nHost: a.example\r\nCookie: a=1; s=" + some_percent(d) + b"; b=2\r\n\r\n",
    "multipart": lambda d: b'--xx\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\n'
    + d
    + b"\r\n--xx--\r\n",
    "file-name": lambda d: b'--xx\r\nContent-Disposition: form-data; name="f"; filename="'
    + some_percent(d)
    + b'"\r\n\r\nx\r\n--xx--\r\n',
    "xml": lambda d: b"<a><b c='1'>" + d.replace(b"<", b"&lt;") + b"</b></a>",
    "yaml": lambda d: b"a:\n  b: |\n    " + d.replace(b"\n", b"\n    ") + b"\n  c: 1\n",
    "log": lambda d: b"2026-03-01T12:00:00Z INFO sent value=" + d + b" to queue\n",
    "far": lambda d: b"a line of text that says nothing\n" * 3000 + d + b"\n" + b"more lines\n" * 100,
}
NEEDS_LINES = {"xxd", "base64-short-lines", "base64-lines-in-list", "base32-lines", "hex-lines"}
NO_LINES = {"header", "xml"}
NEEDS_TEXT = {"json", "json-key", "xml", "yaml", "header", "log"}


def common(a, b):
    """Returns the number of bytes that both have in common at their beginning."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def split(maker, secret, count):
    cuts = sorted(maker.random.sample(range(4, len(secret) - 4), count - 1))
    return [secret[a:b] for a, b in zip([0, *cuts], [*cuts, len(secret)], strict=True)]


SPLITS = {
    "parameters": lambda p: "GET /x?v=1&"
    + "&".join("p%d=%s" % (i, some_percent(s.encode()).decode()) for i, s in enumerate(p))
    + " HTTP/1.1\r\n\r\n",
    "fields": lambda p: json.dumps({"id": 7, **{"part%d" % i: s for i, s in enumerate(p)}}),
    "list": lambda p: json.dumps({"rows": [1, 2], "data": p}),
    "headers": lambda p: "GET / HTTP/1.1\r\nHost: a.example\r\n"
    + "".join("X-Part-%d: %s\r\n" % (i, s) for i, s in enumerate(p))
    + "\r\n",
    "spaced": lambda p: "the letters are: " + " ".join("".join(p)),
    "grouped": lambda p: "in groups of four: " + lines("".join(p), 4, " "),
    "numbered": lambda p: "".join(f"line {i}: {l}\n" for i, l in enumerate(lines("".join(p), 8, "\n").split())),
    "form": lambda p: "v=1&" + "&".join("p%d=%s" % (i, some_percent(s.encode()).decode()) for i, s in enumerate(p)),
}


def get(number, headers="", query=""):
    return f"GET /v1/items/{number}{query} HTTP/1.1\r\nHost: a.example\r\n{headers}\r\n".encode()


# How secrets leave piece by piece: the way in which pieces are sent, and the form of the piece `text` with number `n`.
ACROSS = {
    "requests-query": ("request", lambda n, text: get(n, query="?page=1&q=" + some_percent(text.encode()).decode())),
    "requests-header": ("request", lambda n, text: get(n, f"X-Trace: {text}\r\n")),
    "requests-field": ("request", lambda n, text: json.dumps({"id": n, "kind": "note", "text": text}).encode()),
    "requests-body": ("request", lambda n, text: text.encode()),
    "frames": ("message", lambda n, text: text.encode()),
    "frames-field": ("message", lambda n, text: json.dumps({"seq": n, "type": "input", "data": text}).encode()),
    "fragments": ("fragment", lambda n, text: text.encode()),
}
WHOLE_ONLY = {
    "aws-secret",
    "azure",
    "private-key",
    "openssh-key",
    "database-url",
    "git-url",
    "npmrc",
    "netrc",
    "docker-auth",
    "kubeconfig",
    "env",
    "env-quoted",
    "name-value",
    "xml-element",
    "option",
    "sql",
    "typed",
    "key-body",
    "jetbrains",
    "resend",
    "jwt",
    "pypi",
    "twilio",
    "mailgun",
    "telegram",
    "huggingface",
    "aws-id",
    "anthropic",
    "anthropic-oauth",
    "openai",
    "vault",
    "google-oauth",
    "stripe",
    "github-fine",
    "age",
}


def leaks(seed, count=2000):
    """Returns `count` cases, with every kind, encoding, place and split among them."""
    maker = Maker(seed)
    cases = []
    encodings, places, splits, across = list(ENCODINGS), list(PLACES), list(SPLITS), list(ACROSS)
    number = 0
    while len(cases) < count:
        for kind, secret in maker.kinds().items():
            number += 1
            if number % 8 == 4 and kind not in WHOLE_ONLY:
                how = across[number // 8 % len(across)]
                way, form = ACROSS[how]
                pieces = split(maker, secret, maker.random.choice([2, 3]))
                parts = [form(i, piece) for i, piece in enumerate(pieces)]
                case = Case(f"{number}-{kind}-across-{how}", b"", True, secret.encode(), 0, parts, way)
                cases.append(case)
                continue
            if number % 8 == 0 and kind not in WHOLE_ONLY:
                how = splits[number // 8 % len(splits)]
                pieces = split(maker, secret, maker.random.choice([2, 3]))
                data, empty = SPLITS[how](pieces).encode(), SPLITS[how]([""] * len(pieces)).encode()
                begin = common(data, empty)
                cases.append(Case(f"{number}-{kind}-split-{how}", data, True, secret.encode(), begin))
                continue
            encoding = maker.random.choice(encodings)
            bad = (NEEDS_TEXT if encoding in BINARY else set()) | (NO_LINES if encoding in NEEDS_LINES else set())
            place = maker.random.choice([p for p in places if p not in bad])
            data = PLACES[place](ENCODINGS[encoding](secret.encode()))
            begin = common(data, PLACES[place](b""))
            cases.append(Case(f"{number}-{kind}-{encoding}-{place}", data, True, secret.encode(), begin))
    return cases[:count]


def digest(cases):
    """Returns a hash that shows whether two corpora are the same."""
    total = hashlib.sha256()
    for case in cases:
        total.update(case.name.encode() + b"\0" + case.data + b"\0".join(case.parts))
    return total.hexdigest()[:16]
