"""Defines, for each program in the table of docs/guard.md ("How programs trust the guard"), the command that the test
runs and the server's answers. Each program fetches something from https://site.example.org in its own way."""

import dataclasses
import glob
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import zipfile

URL = "https://site.example.org"
JAVA = """import java.net.*;
public class Get { public static void main(String[] a) throws Exception {
  System.out.println(((HttpURLConnection) new URI(a[0]).toURL().openConnection()).getResponseCode()); } }
"""
FETCH = "fetch('%s/').then(r => r.text()).then(t => console.log(t))" % URL
URLLIB = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())"
POM = """<project><modelVersion>4.0.0</modelVersion>%s<groupId>org.example</groupId><artifactId>%s</artifactId><version>1</version>
<packaging>pom</packaging>%s</project>"""
PARENT = "<parent><groupId>org.example</groupId><artifactId>left</artifactId><version>1</version></parent>"
REPOSITORIES = "<repositories><repository><id>site</id><url>%s/m2</url></repository></repositories>" % URL


def wheel():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, text in {"left.py": "", "left-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: left\nVersion: 1.0\n",
                           "left-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
                           "left-1.0.dist-info/RECORD": "left.py,,\nleft-1.0.dist-info/METADATA,,\nleft-1.0.dist-info/WHEEL,,\n"}.items():
            made.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), text)
    return out.getvalue()


def npm_tarball():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as made:
        text = json.dumps({"name": "left", "version": "1.0.0"}).encode()
        entry = tarfile.TarInfo("package/package.json")
        entry.size = len(text)
        made.addfile(entry, io.BytesIO(text))
    return out.getvalue()


WHEEL, TARBALL = wheel(), npm_tarball()
NPM = {"/left": json.dumps({"name": "left", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": {
    "name": "left", "version": "1.0.0", "dist": {"tarball": URL + "/left.tgz", "shasum": hashlib.sha1(TARBALL).hexdigest()}}}}),
    "/left.tgz": TARBALL}
SIMPLE = {"/simple/left/": '<!DOCTYPE html><html><body><a href="/left-1.0-py3-none-any.whl">left-1.0-py3-none-any.whl</a></body></html>',
          "/left-1.0-py3-none-any.whl": WHEEL}
CRATE = json.dumps({"name": "left", "vers": "1.0.0", "deps": [], "cksum": "0" * 64, "features": {}, "yanked": False})
OBJECT = b"the object"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n" % (hashlib.sha256(OBJECT).hexdigest(), len(OBJECT))
LFS = {"/r.git/info/lfs/objects/batch": json.dumps({"transfer": "basic", "objects": [{
    "oid": hashlib.sha256(OBJECT).hexdigest(), "size": len(OBJECT), "actions": {"download": {"href": URL + "/object"}}}]}),
    "/object": OBJECT}
GEM_INFO = "---\n1.0.0 |checksum:%s\n" % ("0" * 64)
GEMS = {"/versions": "created_at: 2024-01-01T00:00:00Z\n---\nleft 1.0.0 %s\n" % hashlib.md5(GEM_INFO.encode()).hexdigest(),
        "/info/left": GEM_INFO}
BUCKETS = """<?xml version="1.0"?><ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Owner><ID>1</ID></Owner>
<Buckets><Bucket><Name>left</Name><CreationDate>2024-01-01T00:00:00.000Z</CreationDate></Bucket></Buckets></ListAllMyBucketsResult>"""
APT = ("deb [trusted=yes] %s/apt ./\n" % URL)
MIRROR = "<settings><mirrors><mirror><id>m</id><mirrorOf>*</mirrorOf><url>%s/m2</url></mirror></mirrors></settings>" % URL
GRADLE = """configurations { c }
repositories { maven { url '%s/m2' } }
dependencies { c 'org.example:left:1' }
task get { doLast { println 'got ' + configurations.c.files*.name } }
""" % URL
# Commits the pointer without git-lfs, as if it came from another clone.
LFS_SETUP = ("git init -q . && git config user.name a && git config user.email a@example.org && mv pointer object && git add object && "
             "git commit -qm x && git lfs install --local >/dev/null && echo 'object filter=lfs' > .gitattributes && "
             "git remote add origin %s/r.git && git lfs pull && cat object") % URL


@dataclasses.dataclass
class Program:
    argv: list                                              # the command; {ca} is the bundle with the session's authority
    want: str = "ok"                                        # what the command must print
    pages: dict = dataclasses.field(default_factory=dict)   # path → body; every other path gets "ok"
    files: dict = dataclasses.field(default_factory=dict)   # name → text, in the directory where the command runs
    env: dict = dataclasses.field(default_factory=dict)
    seconds: int = 60


def shell(script, **more):
    return Program(["sh", "-c", script], **more)


BROWSE = """from playwright.sync_api import sync_playwright
with sync_playwright() as p:
    page = p.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"]).new_page()
    page.goto("%s")
    print(page.content())
""" % URL

# Reads in small pieces, as Go does for each answer that it decompresses. Each of them causes two frames of HTTP/2.
GO_READ = """package main
import ("fmt"; "net/http"; "os")
func main() {
  answer, err := http.Get(os.Args[1])
  if err != nil { panic(err) }
  piece, total := make([]byte, 4096), 0
  for err == nil {
    var n int
    n, err = answer.Body.Read(piece)
    total += n
  }
  fmt.Println(answer.Proto, total, err)
}
"""

PACKAGE = {"package.json": "{}", ".npmrc": "cafile=/nowhere/left.pem\n"}  # a repository's own authority must not interfere
PROGRAMS = {
    "curl": Program(["curl", "-sS", URL]),
    "wget": Program(["wget", "-qO-", "--no-hsts", "--ca-certificate={ca}", URL]),
    "python3": Program(["python3", "-c", URLLIB, URL]),
    **{"python3.%d" % n: Program(["python3.%d" % n, "-c", URLLIB, URL]) for n in range(9, 14)},
    "pip": Program(["python3", "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--index-url", URL + "/simple", "left"], "left-1.0",
                   SIMPLE, env={"PIP_DISABLE_PIP_VERSION_CHECK": "1"}),
    "uv": Program(["uv", "pip", "install", "--no-cache", "--target", "t", "--index-url", URL + "/simple", "left"], "left==1.0", SIMPLE),
    "poetry": Program(["poetry", "lock"], "Writing lock file", SIMPLE, {"pyproject.toml": """[project]
name = "x"
version = "1"
requires-python = ">=3.9"
dependencies = ["left"]
[[tool.poetry.source]]
name = "site"
url = "%s/simple/"
""" % URL}, env={"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}),
    "node": Program(["node", "-e", FETCH]),
    **{"node%d" % n: Program(["node%d" % n, "-e", FETCH]) for n in (20, 22, 24)},
    "npm": Program(["npm", "view", "left", "version", "--registry", URL, "--fetch-retries=0"], "1.0.0", NPM, PACKAGE),
    "pnpm": Program(["pnpm", "add", "left", "--registry", URL, "--store-dir", "store"], "left 1.0.0", NPM, PACKAGE),
    "yarn": Program(["yarn", "info", "left", "version", "--registry", URL], "1.0.0", NPM, PACKAGE),
    "bun": Program(["bun", "-e", FETCH]),
    "bun add": Program(["bun", "add", "left", "--registry", URL], "left@1.0.0", NPM, {"package.json": "{}"}),
    "deno": Program(["deno", "eval", FETCH]),
    "git": Program(["git", "ls-remote", URL], "refs/heads/ok", {"/info/refs": b"0" * 39 + b"1\trefs/heads/ok\n"}),
    "git-lfs": shell(LFS_SETUP, want=OBJECT.decode(), pages=LFS, files={"pointer": POINTER}),
    "ruby": Program(["ruby", "-ropen-uri", "-e", "puts URI.open('%s').read" % URL]),
    "bundle": Program(["bundle", "lock", "--print"], "left (1.0.0)", GEMS, {"Gemfile": "source '%s'\ngem 'left'\n" % URL}),
    "java": Program(["java", "Get.java", URL], "200", files={"Get.java": JAVA}),
    "mvn": shell("mvn -B -q -s settings.xml -Dmaven.repo.local=repo validate && cat repo/org/example/left/1/left-1.pom",
                 want="<artifactId>left", pages={"/m2/org/example/left/1/left-1.pom": POM % ("", "left", "")},
                 files={"pom.xml": POM % (PARENT, "x", REPOSITORIES), "settings.xml": MIRROR}),
    "gradle": Program(["gradle", "--no-daemon", "-q", "get"], "got [left-1.jar]", {
        "/m2/org/example/left/1/left-1.pom": (POM % ("", "left", "")).replace("<packaging>pom</packaging>", "")},
        {"build.gradle": GRADLE}, {"GRADLE_USER_HOME": "{directory}/gradle"}, seconds=240),
    "go": Program(["go", "list", "-m", "-json", "example.org/left@v1.0.0"], "v1.0.0", {"/example.org/left/@v/v1.0.0.info": '{"Version": "v1.0.0"}'},
                  env={"GOPROXY": URL, "GOSUMDB": "off", "GOPATH": "{directory}/go", "GOFLAGS": "-mod=mod -modcacherw", "GOTOOLCHAIN": "local"}),
    "go run": Program(["go", "run", "read.go", URL + "/large"], "HTTP/2.0 41943040 EOF", {"/large": b"x" * (40 << 20)}, {"read.go": GO_READ},
                      env={"GOCACHE": os.path.expanduser("~/.cache/go-build"), "GOTOOLCHAIN": "local"}, seconds=240),
    "cargo": shell("RUSTUP_HOME=%s cargo generate-lockfile && grep -A1 'name = \"left\"' Cargo.lock" % os.path.expanduser("~/.rustup"), want="1.0.0", pages={
        "/index/config.json": json.dumps({"dl": URL + "/dl"}), "/index/le/ft/left": CRATE}, files={
        "Cargo.toml": '[package]\nname = "x"\nversion = "1.0.0"\nedition = "2021"\n[lib]\npath = "x.rs"\n[dependencies]\n'
                      'left = { version = "1", registry = "site" }\n', "x.rs": ""},
        env={"CARGO_HOME": "{directory}/cargo", "CARGO_REGISTRIES_SITE_INDEX": "sparse+%s/index/" % URL}),
    "gh": Program(["gh", "api", "user"], "left", {"/api/v3/user": '{"login": "left"}'}, env={
        "GH_HOST": "site.example.org", "GH_ENTERPRISE_TOKEN": "x"}),
    "aws": Program(["aws", "s3api", "list-buckets", "--endpoint-url", URL], '"left"', {"/": BUCKETS}, env={
        "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}),
    "chromium": Program(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", URL]),
    "playwright": Program(["playwright-python", "browse.py"], files={"browse.py": BROWSE}),
}


def tool(name):
    """Returns the program's path, or None. Prefers the programs that scripts/check-clients has installed. Returns a
    version of Python in pyenv itself, because pyenv's wrappers need additional variables."""
    found = glob.glob(os.path.expanduser("~/.pyenv/versions/%s.*/bin/%s" % (name[6:], name))) if name.startswith("python3.") else []
    path = os.pathsep.join([os.path.join(os.environ.get("BOTTLE_CLIENT_TOOLS", "/nowhere"), "bin"), os.environ["PATH"]])
    return found[0] if found else shutil.which(name, path=path)


def reads_env_proxy(node):
    ask = [node, "-p", "process.allowedNodeEnvironmentFlags.has('--use-env-proxy')"]
    return subprocess.run(ask, capture_output=True, text=True).stdout == "true\n"
