"""Makes traffic of tools that contains no secret: `harmless(seed)` makes cases in the formats of real tools."""

import base64
import dataclasses
import hashlib
import json
import os
import random
import string
import struct
import sysconfig
import zlib

from services import SERVICES

HEX, ALNUM = "0123456789abcdef", string.ascii_letters + string.digits
WORDS = """request server client value index buffer stream result error handler config option module package
version build test cache parse format render update create delete filter reduce channel worker
thread socket listen connect render layout window element style token user account session message
content response header payload schema field record query table column vector matrix random signal
event queue""".split()


@dataclasses.dataclass
class Harmless:
    name: str
    data: bytes
    leak: bool = False


class Tools:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def of(self, alphabet, count):
        return "".join(self.random.choice(alphabet) for _ in range(count))

    def hex(self, count):
        return self.of(HEX, count)

    def sri(self, algorithm="sha512", size=64):
        return algorithm + "-" + base64.b64encode(self.random.randbytes(size)).decode()

    def uuid(self):
        return "-".join(self.hex(n) for n in (8, 4, 4, 4, 12))

    def word(self):
        return self.random.choice(WORDS)

    def name(self):
        return self.word() + "-" + self.word()

    def version(self):
        return "%d.%d.%d" % (self.random.randrange(9), self.random.randrange(40), self.random.randrange(90))

    def sentence(self):
        return " ".join(self.word() for _ in range(self.random.randrange(5, 16))).capitalize() + "."

    def package_lock(self):
        packages = {}
        for _ in range(60):
            name, version = self.name(), self.version()
            packages["node_modules/" + name] = {
                "version": version,
                "resolved": f"https://registry.npmjs.org/{name}/-/{name}-{version}.tgz",
                "integrity": self.sri(),
                "license": "MIT",
                "engines": {"node": ">=18"},
            }
        return json.dumps({"name": "app", "lockfileVersion": 3, "packages": packages}, indent=2)

    def yarn_lock(self):
        return "".join(
            f'"@{self.word()}/{self.name()}@^{self.version()}":\n  version "{self.version()}"\n  resolved '
            f'"https://registry.yarnpkg.com/{self.name()}/-/{self.name()}.tgz#{self.hex(40)}"\n  integrity {self.sri()}\n\n'
            for _ in range(60)
        )

    def cargo_lock(self):
        return "".join(
            f'[[package]]\nname = "{self.name()}"\nversion = "{self.version()}"\nsource = "registry+https://github.com/rust-lang/'
            f'crates.io-index"\nchecksum = "{self.hex(64)}"\n\n'
            for _ in range(80)
        )

    def go_sum(self):
        return "".join(
            f"github.com/{self.word()}/{self.name()} v{self.version()}/go.mod h1:{base64.b64encode(self.random.randbytes(32)).decode()}\n"
            for _ in range(100)
        )

    def poetry_lock(self):
        return "".join(
            f'[[package]]\nname = "{self.name()}"\nfiles = [\n    {{file = "{self.name()}-{self.version()}-py3-none-any.whl", '
            f'hash = "sha256:{self.hex(64)}"}},\n]\n'
            for _ in range(60)
        )

    def minified(self):
        out, names = [], string.ascii_letters
        for _ in range(400):
            a, b, c = (self.random.choice(names) for _ in range(3))
            out.append(
                self.random.choice(
                    [
                        f"function {a}({b},{c}){{return {b}.{self.word()}({c})||void 0}}",
                        f'var {a}={b}?{c}.{self.word()}:"{self.word()}-{self.word()}";',
                        f"{a}.prototype.{self.word()}{self.word().capitalize()}=function(){{this.{self.word()}=!0}},",
                        f"e[{self.random.randrange(9999)}]=({a},{b})=>{{{c}({self.random.randrange(1 << 31)})}};",
                        f'const {a}Key="{self.word()}{self.word().capitalize()}",token{self.word().capitalize()}=({b})=>{b}.{self.word()};',
                    ]
                )
            )
        return "".join(out)

    def source_map(self):
        mappings = ";".join(
            ",".join(self.of("ACEGIKMOQSUWYacegikmoqsuwy", self.random.choice([4, 4, 5, 6])) for _ in range(40))
            for _ in range(60)
        )
        return json.dumps(
            {
                "version": 3,
                "file": "app.js",
                "sources": [f"src/{self.word()}.ts" for _ in range(20)],
                "names": [self.word() + self.word().capitalize() for _ in range(80)],
                "mappings": mappings,
            }
        )

    def png(self):
        def chunk(kind, data):
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        pixels = b"".join(b"\0" + self.random.randbytes(3 * 40) for _ in range(40))
        return (
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", 40, 40, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(pixels))
            + chunk(b"IEND", b"")
        )

    def image_in_json(self):
        return json.dumps(
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": base64.b64encode(self.png()).decode()},
            }
        )

    def photo(self):
        """Returns an image that is much longer than what the guard scans at once."""
        return b"\xff\xd8\xff\xe0\0\x10JFIF\0" + self.random.randbytes(250_000) + b"\xff\xd9"

    def photo_in_json(self):
        """Returns a message to a model, with a screenshot."""
        image = {"type": "base64", "media_type": "image/jpeg", "data": base64.b64encode(self.photo()).decode()}
        content = [{"type": "image", "source": image}, {"type": "text", "text": self.sentence()}]
        return json.dumps({"messages": [{"role": "user", "content": content}]})

    def photo_in_lines(self):
        return base64.encodebytes(self.photo())

    def git_pack(self):
        objects = b""
        for _ in range(20):
            text = (
                "tree %s\nauthor A <a@example.org> 1700000000 +0000\n\n%s\n" % (self.hex(40), self.sentence())
            ).encode()
            objects += bytes([0x90 | len(text) & 15, len(text) >> 4]) + zlib.compress(text)
        data = b"PACK" + struct.pack(">II", 2, 20) + objects
        return data + hashlib.sha1(data).digest()

    def git_push(self):
        line = f"{self.hex(40)} {self.hex(40)} refs/heads/main\0 report-status side-band-64k agent=git/2.39.5"
        return ("%04x" % (len(line) + 4) + line + "0000").encode() + self.git_pack()

    def hashes(self):
        return "".join(
            f"{self.hex(self.random.choice([32, 40, 64, 128]))}  dist/{self.name()}.tar.gz\n" for _ in range(60)
        )

    def uuids(self):
        return json.dumps(
            [
                {
                    "id": self.uuid(),
                    "trace_id": self.hex(32),
                    "span_id": self.hex(16),
                    "ts": self.random.randrange(17 * 10**17, 18 * 10**17),
                }
                for _ in range(60)
            ]
        )

    def numbers(self):
        return "id,micros,price,ratio\n" + "".join(
            f"{self.random.randrange(10**7)},{self.random.randrange(17 * 10**14, 18 * 10**14)},"
            f"{self.random.random() * 100:.2f},{self.random.random()!r}\n"
            for _ in range(200)
        )

    def hexdump(self):
        data = self.random.randbytes(512)
        return "".join("%08x  %s\n" % (i, data[i : i + 16].hex(" ")) for i in range(0, 512, 16))

    def conversation(self):
        lines = [
            "How do I rotate an API key without downtime?",
            "Never commit a .env file; use DB_PASSWORD=changeme in .env.example instead.",
            "Set the token with `export GITHUB_TOKEN=<your token>` and run it again.",
            "The password must be hashed with bcrypt; never log it.",
            "An AWS key begins with AKIA and has 20 characters; the secret has 40.",
            "Use `Authorization: Bearer $TOKEN` in the header.",
            "A GitHub token looks like ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.",
            "The connection string is postgres://user:password@localhost:5432/app.",
            "A private key begins with -----BEGIN PRIVATE KEY----- and must stay out of the repository.",
            "JWTs have three parts, header.payload.signature.",
            "const token = await getAccessToken(clientId, clientSecret);",
            'api_key = os.environ["API_KEY"]',
            "secret: ${{ secrets.DEPLOY_TOKEN }}",
            'curl -u "$USER:$PASSWORD" https://api.example.org/',
            "password: {{ vault_db_password }}",
            "The `secret_key_base` is read from credentials.yml.enc.",
        ]
        messages = [
            {
                "role": self.random.choice(["user", "assistant"]),
                "content": self.sentence() + " " + self.random.choice(lines) + "\n" + self.sentence(),
            }
            for _ in range(12)
        ]
        return json.dumps(
            {
                "model": "m",
                "max_tokens": 4096,
                "messages": messages,
                "metadata": {"user_id": "user_" + self.hex(64) + "_session_" + self.uuid()},
            }
        )

    def published(self):
        return (
            self.random.choice(
                [
                    "AWS_ACCESS_KEY_ID=AKIA"
                    + "IOSFODNN7EXAMPLE\nAWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG"
                    + "/bPxRfiCYEXAMPLEKEY\n",
                    "curl https://api.stripe.com/v1/charges -u sk_test_" + "4eC39HqLyjWDarjtT1zdp7dc:",
                    "Cards for tests: 4242 4242 4242 4242, 5555555555554444, 378282246310005, 6011111111111117, 4000056655665556",
                    "IBAN: DE89 3704 0044 0532 0130 00, GB29 NWBK 6016 1331 9268 19, FR14 2004 1010 0505 0001 3M02 606",
                    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
                    "AccountName=devstoreaccount1;AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;",
                    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about",
                    "OPENAI_API_KEY=sk-your-api-key-here\nANTHROPIC_API_KEY=sk-ant-api03-...\n",
                    "-----BEGIN PRIVATE KEY-----\nMIIE...\n-----END PRIVATE KEY-----\n",
                    "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
                    "slack: xoxb-your-token, https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
                ]
            )
            + "\n"
            + self.sentence()
        )

    def settings(self):
        return f"""services:
  web:
    image: registry.example.org/{self.name()}@sha256:{self.hex(64)}
    environment:
      DATABASE_URL: ${{DATABASE_URL}}
      SECRET_KEY: ${{SECRET_KEY:?set it}}
      POSTGRES_PASSWORD_FILE: /run/secrets/db_password
      TOKEN_TTL_SECONDS: {self.random.randrange(9999)}
      KEY_PREFIX: {self.word()}:{self.word()}
secrets:
  db_password: {{external: true}}
"""

    def public_keys(self):
        return (
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"
            + base64.b64encode(self.random.randbytes(32)).decode().rstrip("=")
            + " me@example\n"
            "-----BEGIN PUBLIC KEY-----\n"
            + base64.encodebytes(self.random.randbytes(91)).decode()
            + "-----END PUBLIC KEY-----\n"
            "-----BEGIN CERTIFICATE-----\n"
            + base64.encodebytes(self.random.randbytes(700)).decode()
            + "-----END CERTIFICATE-----\n"
        )

    def request(self):
        return (
            f"POST /v1/messages?beta=true HTTP/1.1\r\nHost: api.example.org\r\nX-Request-Id: {self.uuid()}\r\nUser-Agent: node/22.3.0\r\n"
            f'If-None-Match: "{self.hex(40)}"\r\nTraceparent: 00-{self.hex(32)}-{self.hex(16)}-01\r\nContent-Type: application/json\r\n\r\n'
            + json.dumps(
                {
                    "query": self.sentence(),
                    "cursor": base64.b64encode(f"cursor:v2:{self.random.randrange(10**9)}".encode()).decode(),
                }
            )
        )

    def html(self):
        return (
            f"<!doctype html><script src=\"/{self.name()}.{self.hex(20)}.js\" integrity=\"{self.sri('sha384', 48)}\"></script>"
            f"<style>@font-face{{src:url(data:font/woff2;base64,{base64.b64encode(self.random.randbytes(900)).decode()})}}</style>"
            f"<p>{self.sentence()} caf&eacute; &amp; &#8220;{self.word()}&#8221;</p>"
        )

    def binary(self):
        return self.random.randbytes(3000) + bytes(500) + b"".join(struct.pack("<I", n) for n in range(300))

    def elf(self):
        """Returns a library as a linker lays it out: its code, tables with many zeros, names and padding."""
        draw = self.random
        code = b"".join(
            draw.choice([b"\x48\x8b", b"\x48\x89", b"\x8b", b"\x0f\xb6", b"\x48\x8d", b"\xe8", b"\x83", b"\x85"])
            + bytes([draw.randrange(256)])
            + draw.choice([b"", b"\x08", b"\x10", struct.pack("<i", draw.randrange(-4000, 4000)), bytes(4)])
            for _ in range(4000)
        )
        at = range(0x11000, 0x11000 + 16 * 400, 16)
        relocations = b"".join(struct.pack("<QQQ", each, 8, 0x1000 + draw.randrange(len(code))) for each in at)
        symbols = b"".join(
            struct.pack("<IBBHQQ", 16 * n, 18, 0, 12, 0x1000 + draw.randrange(len(code)), draw.randrange(900))
            for n in range(500)
        )
        names = b"\0".join(f"{self.word()}_{self.word()}_{self.word()}".encode() for _ in range(300))
        head = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 4096, 64, 0, 0, 64, 56, 4, 64, 0, 0)
        parts = [head, symbols, names, relocations, code, b"".join(struct.pack("<I", 16 * n) for n in range(800))]
        return b"".join(part + bytes(-len(part) % 512) for part in parts)

    def elf_in_lines(self):
        return base64.encodebytes(self.elf())

    def elf_in_json(self):
        """Returns a blob in the form that the API of GitHub accepts."""
        return json.dumps({"content": base64.b64encode(self.elf()).decode(), "encoding": "base64"})

    def elf_in_json_lines(self):
        """Returns a file in the form in which the API of GitHub returns it."""
        lines = base64.b64encode(self.elf()).decode()
        return json.dumps({"content": "".join(lines[i : i + 60] + "\n" for i in range(0, len(lines), 60))})

    def telemetry(self):
        return json.dumps(
            {
                "event": self.word(),
                "distinct_id": self.uuid(),
                "session": self.hex(32),
                "props": {self.word(): self.random.random() for _ in range(20)},
                "stack": [
                    f"at {self.word()}{self.word().capitalize()} (/app/node_modules/{self.name()}/dist/index.{self.hex(8)}.js:{n}:{n * 7})"
                    for n in range(20)
                ],
            }
        )


FORMS = [
    "package_lock",
    "yarn_lock",
    "cargo_lock",
    "go_sum",
    "poetry_lock",
    "minified",
    "source_map",
    "png",
    "image_in_json",
    "photo",
    "photo_in_json",
    "photo_in_lines",
    "git_pack",
    "git_push",
    "hashes",
    "uuids",
    "numbers",
    "hexdump",
    "conversation",
    "published",
    "settings",
    "public_keys",
    "request",
    "html",
    "binary",
    "elf",
    "elf_in_lines",
    "elf_in_json",
    "elf_in_json_lines",
    "telemetry",
]
SPOKEN = {"conversation", "published", "request", "settings", "kubernetes", "templates", "program"}


def harmless(seed, count=620):
    """Returns at least `count` cases of made-up traffic, and the modules of this Python as real source code."""
    tools = Tools(seed)
    cases = []
    while len(cases) < count:
        for form in (*FORMS, *SERVICES):
            data = SERVICES[form](tools) if form in SERVICES else getattr(tools, form)()
            data = data if isinstance(data, bytes) else data.encode()
            cases.append(Harmless(f"{len(cases)}-{form}", data))
            if form in SPOKEN:  # also within a message to a model
                cases.append(Harmless(f"{len(cases)}-{form}-in-json", json.dumps({"content": data.decode()}).encode()))
    library = sysconfig.get_paths()["stdlib"]
    for name in sorted(os.listdir(library)):
        if name.endswith(".py"):
            with open(os.path.join(library, name), "rb") as file:
                cases.append(Harmless("source-" + name, file.read()))
    return cases
