"""Makes requests to services, and code and documents about secrets, that contain no secret. Each function makes a text
or bytes with the random parts of `t`, the maker of harmless.py."""

import base64
import gzip
import json
import string
import zlib

BASE36, NIX32 = string.digits + string.ascii_lowercase, "0123456789abcdfghijklmnpqrsvwxyz"
ULID32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ALNUM = string.ascii_letters + string.digits


def b64(t, count):
    return base64.b64encode(t.random.randbytes(count)).decode()


def armor(t, kind, count):
    return f"-----BEGIN {kind}-----\n\n" + base64.encodebytes(t.random.randbytes(count)).decode() + f"-----END {kind}-----\n"


def npm_publish(t):
    package = gzip.compress(t.random.randbytes(2000))
    dist = {"integrity": t.sri(), "shasum": t.hex(40), "tarball": "https://registry.npmjs.org/@a/b/-/b-1.0.0.tgz"}
    return json.dumps(
        {
            "_id": "@a/b",
            "versions": {"1.0.0": {"name": "@a/b", "gitHead": t.hex(40), "dist": dist}},
            "_attachments": {"b.tgz": {"data": base64.b64encode(package).decode(), "length": len(package)}},
        }
    )


def provenance(t):
    statement = json.dumps({"subject": [{"name": "pkg:npm/b@1.0.0", "digest": {"sha512": t.hex(128)}}]})
    return json.dumps(
        {
            "verificationMaterial": {
                "x509CertificateChain": {"certificates": [{"rawBytes": b64(t, 700)}]},
                "tlogEntries": [{"logId": {"keyId": b64(t, 32)}, "canonicalizedBody": b64(t, 600)}],
            },
            "dsseEnvelope": {
                "payload": base64.b64encode(statement.encode()).decode(),
                "signatures": [{"sig": b64(t, 71), "keyid": ""}],
            },
        }
    )


def pip_hashes(t):
    return "".join(f"{t.name()}==1.{i} \\\n    --hash=sha256:{t.hex(64)}\n" for i in range(60))


def git_fetch(t):
    return "".join(f"0032have {t.hex(40)}\n" for _ in range(60)) + "0009done\n"


def graphql(t):
    code = ("import os\n\ndef main():\n    return os.environ['TOKEN']\n" * 8).encode()
    changes = [
        {"path": "a.py", "contents": base64.b64encode(code).decode()},
        {"path": "a.png", "contents": b64(t, 900)},
    ]
    return json.dumps(
        {
            "query": "mutation($input: CreateCommitOnBranchInput!) { createCommitOnBranch(input: $input) { commit { oid } } }",
            "variables": {"input": {"expectedHeadOid": t.hex(40), "fileChanges": {"additions": changes}}},
            "id": "PR_kwDO" + t.of(ALNUM, 10),
            "after": base64.b64encode(b"cursor:v2:%d" % t.random.randrange(10**9)).decode(),
        }
    )


def signed_commit(t):
    return json.dumps({"tree": t.hex(40), "parents": [t.hex(40)], "signature": armor(t, "PGP SIGNATURE", 300)})


def armored(t):
    kinds = ["PGP PUBLIC KEY BLOCK", "SSH SIGNATURE", "CERTIFICATE REQUEST", "DH PARAMETERS", "X509 CRL"]
    return "".join(armor(t, kind, 500) for kind in kinds) + f"|1|{b64(t, 20)}|{b64(t, 20)} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5\n"


def image_manifest(t):
    layers = [{"digest": "sha256:" + t.hex(64), "size": t.random.randrange(10**8)} for _ in range(12)]
    return json.dumps({"schemaVersion": 2, "config": {"digest": "sha256:" + t.hex(64)}, "layers": layers})


def sentry(t):
    frames = [{"filename": f"/app/index.{t.hex(8)}.js", "function": t.word(), "lineno": i} for i in range(20)]
    event = {"event_id": t.hex(32), "exception": {"values": [{"stacktrace": {"frames": frames}}]}, "release": t.hex(40)}
    return (
        f"POST /api/{t.random.randrange(10**7)}/envelope/?sentry_key={t.hex(32)}&sentry_version=7&sentry_client=sentry.node%2F8 "
        f"HTTP/1.1\r\nHost: o1.ingest.example.org\r\nX-Sentry-Auth: Sentry sentry_version=7, sentry_key={t.hex(32)}\r\n\r\n"
        f'{{"dsn":"https://{t.hex(32)}@o1.ingest.example.org/1"}}\n{json.dumps(event)}\n'
    )


def analytics(t):
    batch = [{"event": "$pageview", "messageId": "node-" + t.hex(32) + "-" + t.uuid()} for _ in range(10)]
    return json.dumps({"api_key": "phc_" + t.of(ALNUM, 43), "writeKey": t.of(ALNUM, 32), "batch": batch})


def turns(t):
    calls = [
        [
            {"type": "thinking", "thinking": t.sentence(), "signature": b64(t, 300)},
            {"type": "tool_use", "id": "toolu_01" + t.of(ALNUM, 22), "input": {"command": "git log --format=%H"}},
            {"type": "tool_result", "tool_use_id": "toolu_01" + t.of(ALNUM, 22), "content": t.hex(40)},
            {"type": "reasoning", "id": "rs_" + t.hex(50), "encrypted_content": "gAAAAAB" + b64(t, 300)},
        ]
        for _ in range(6)
    ]
    return json.dumps({"messages": calls, "metadata": {"user_id": f"user_{t.hex(64)}_account_{t.uuid()}"}})


def terraform_plan(t):
    def after():
        arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/db-" + t.of(ALNUM, 6)
        key = "arn:aws:kms:us-east-1:123456789012:key/" + t.uuid()
        return {"ami": "ami-0" + t.hex(16), "kms_key_id": key, "secret_arn": arn, "password": None}

    return json.dumps({"resource_changes": [{"change": {"after": after()}} for _ in range(15)]})


def kubernetes(t):
    return (
        f"metadata:\n  uid: {t.uuid()}\n  annotations:\n    checksum/config: {t.hex(64)}\nspec:\n  containers:\n"
        f"  - image: ghcr.io/a/b@sha256:{t.hex(64)}\n    env:\n    - name: DB_PASSWORD\n      valueFrom:\n        secretKeyRef:\n"
        f"          name: db-secret-7f9c\n          key: password\n  volumes:\n  - name: tls\n    secret:\n"
        f"      secretName: web-tls-{t.hex(10)}\nclusters:\n- cluster:\n"
        f"    certificate-authority-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t{b64(t, 600)}\n"
    )


def nix(t):
    return "".join(f"/nix/store/{t.of(NIX32, 32)}-{t.name()}-1.2.3\n" for _ in range(60)) + (
        f'hash = "sha256-{b64(t, 32)}";\nNarHash: sha256:{t.of(NIX32, 52)}\nSig: cache.nixos.org-1:{b64(t, 64)}\n'
    )


def bazel(t):
    blobs = "".join(f"uploads/{t.uuid()}/blobs/{t.hex(64)}/{t.random.randrange(10**6)}\n" for _ in range(40))
    return json.dumps({"actionDigest": {"hash": t.hex(64), "sizeBytes": "142"}, "target": "//src/app:main"}) + "\n" + blobs


def locks(t):
    return "".join(
        f'  "{t.name()}": {{:hex, "1.2.{i}", "{t.hex(64)}"}},\n  {t.name()} (1.{i}) sha256={t.hex(64)}\n'
        f"  checksum: 10c0/{t.hex(128)}\n  Pod{i}: {t.hex(40)}\n"
        for i in range(20)
    )


def identifiers(t):
    return json.dumps(
        [
            {
                "ulid": "01J" + t.of(ULID32, 23),
                "ksuid": "2" + t.of(ALNUM, 26),
                "nanoid": t.of(ALNUM + "_-", 21),
                "cuid": "c" + t.of(BASE36, 24),
                "typeid": "user_01" + t.of(BASE36, 24),
                "objectid": t.hex(24),
                "snowflake": str(t.random.randrange(10**17, 10**18)),
            }
            for _ in range(40)
        ]
    )


def web_form(t):
    return (
        f"authenticity_token={base64.urlsafe_b64encode(t.random.randbytes(64)).decode()}&name=x&csrfmiddlewaretoken={t.of(ALNUM, 64)}"
        f"&__RequestVerificationToken={t.of(ALNUM, 92)}&state={t.of(ALNUM, 32)}&code_challenge={t.of(ALNUM, 43)}"
    )


def document(t):
    packed = zlib.compress(t.random.randbytes(3000))
    return b"%PDF-1.7\n1 0 obj\n<</Filter/FlateDecode>>\nstream\n" + packed + b"\nendstream\n<" + t.hex(32).encode() + b">\n"


def module(t):
    return b"\0asm\1\0\0\0" + t.random.randbytes(4000)


def message(t):
    fields = [t.uuid().encode(), t.random.randbytes(32), t.hex(64).encode(), t.sentence().encode()]
    return b"".join(bytes([8 * (i % 15 + 1) | 2, len(f)]) + f for i in range(12) for f in fields)


def transaction(t):
    return json.dumps(
        {
            "params": ["0x" + t.hex(64)],
            "from": "0x" + t.hex(40),
            "data": "0x" + t.hex(200),
            "cid": "bafybei" + t.of("abcdefghijklmnopqrstuvwxyz234567", 52),
        }
    )


def templates(t):
    return f"""APP_KEY=base64:
MAIL_PASSWORD=null
SECRET_KEY=changeme
JWT_SECRET=your-256-bit-secret
SESSION_SECRET=keyboard cat
POSTGRES_PASSWORD=postgres
NEXTAUTH_SECRET="generate it with openssl"
KEY_FILE=/etc/ssl/private/{t.word()}.pem
TOKEN_URL=https://auth.example.com/oauth2/token
CACHE_KEY=user:profile:v2
MONGO=mongodb://root:example@mongo:27017/
otpauth://totp/a@example.org?secret=JBSWY3DPEHPK3PXP&issuer=x
{{"access_token":"2YotnFZFEjr1zCsicMWpAA","refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA"}}
"""


def program(t):
    word = t.word()
    return f"""def {word}(token: str, *, secret=None, private_key: ed25519.Ed25519PrivateKey = None) -> int:
    api_key = config["api_key"]
    password = request.form.get("password1")
    headers = {{"Authorization": f"Bearer {{token}}"}}
    field = Field(create_key=_descriptor._internal_create_key)
    self.secret_key = secrets.token_hex(32)
    if not has_token:
        raise_for_status2()
    hashes = [("password", "{t.hex(40)}"), ("test", "{t.hex(64)}")]
    nid_key = self._lib.NID_pbe_WithSHA1And3_Key_TripleDES_CBC
const passwordRegex = /^(?=.*[a-z])(?=.*\\d).{{8,}}$/;
apiKey: import.meta.env.VITE_API_KEY, tokenCount = {t.random.randrange(10**9)}
const tokens: Map<string, Token> = new Map2();
<label for="password">Password1</label> <input type="password" value="">
"login.token.expired": "Your token has expired; sign in again.",
"""


def tokens(t):
    """Values that are not secrets although their names end in "token" or "key"."""
    params = f"Action=RunInstances&ImageId=ami-{t.hex(17)}&ClientToken={t.uuid()}&Version=2016-11-15"
    base, digits = "https://graph.microsoft.com/v1.0/me/messages/delta?$", string.digits
    values = {
        "ClientRequestToken": t.uuid(),
        "LockToken": t.uuid(),
        "CreationToken": t.uuid(),
        "idempotency_key": t.uuid(),
        "dedup_key": t.hex(32),
        "KMSMasterKeyID": t.uuid(),
        "S3Key": t.hex(64) + ".zip",
        "object_key": f"builds/{t.of(ALNUM, 16)}.tar.gz",
        "_meta": {"progressToken": t.uuid()},
        "workDoneToken": t.uuid(),
        "nextForwardToken": f"f/{t.of(digits, 56)}/s",
        "nextSequenceToken": t.of(digits, 56),
        "streamToken": b64(t, 18),
        "$skipToken": b64(t, 60),
        "page_id": t.random.choice("45") + t.of(digits, 15),
    }
    return "\n".join(
        (
            params,
            base + "skiptoken=" + t.of(ALNUM, 80),
            base + "deltatoken=" + t.of(ALNUM, 80),
            json.dumps(values),
            f"<clientToken>{t.uuid()}</clientToken>",
            "\tc.PrivateKey = testEd25519PrivateKey\n",
        )
    )


SERVICES = {
    each.__name__: each
    for each in (
        npm_publish,
        provenance,
        pip_hashes,
        git_fetch,
        graphql,
        signed_commit,
        armored,
        image_manifest,
        sentry,
        analytics,
        turns,
        terraform_plan,
        kubernetes,
        nix,
        bazel,
        locks,
        identifiers,
        web_form,
        document,
        module,
        message,
        transaction,
        templates,
        program,
        tokens,
    )
}
