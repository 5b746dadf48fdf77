"""Lists every setting of git that names a command, or a place to run or fetch something from, with the names that `git
help --config` prints. If git lists a name that looks like such a setting and is in neither table,
test_repository_commands.py fails: look the setting up, then add it to the right table."""

import re
import subprocess

LOOKS_LIKE_ONE = re.compile(
    r"command|cmd|helper|editor|pager|program|hook|driver|textconv|clean|smudge|process|uploadpack|receivepack|proxy|ssh|askpass|"
    r"fsmonitor|path|vcs|browser|external|tool|filter|alias|insteadof|include|url|update|dir$|directory|template|target|gpg|script|exec|"
    r"server|interactive|sequence|sendmail|file$|credential|worktree|\*$|trace2|socket|agent|backend|strategy", re.I)

# Name → keys and values that are written to a configuration file. {marker} is a program that leaves a mark.
COMMANDS = {
    "alias.*": [("alias.st", "!{marker}"), ("alias.status", "!{marker}")],
    "browser.<tool>.cmd": [("browser.marker.cmd", "{marker}")],
    "browser.<tool>.path": [("browser.marker.path", "{marker}")],
    "core.alternateRefsCommand": [("core.alternateRefsCommand", "{marker}")],
    "core.askPass": [("core.askPass", "{marker}")],
    "core.editor": [("core.editor", "{marker}")],
    "core.fsmonitor": [("core.fsmonitor", "{marker}")],
    "core.gitProxy": [("core.gitProxy", "{marker}")],
    "core.hooksPath": [("core.hooksPath", "{hooks}")],
    "core.pager": [("core.pager", "{marker}")],
    "core.sshCommand": [("core.sshCommand", "{marker}")],
    "credential.<url>.*": [("credential.https://example.org.helper", "!{marker}")],
    "credential.helper": [("credential.helper", "!{marker}")],
    "diff.<driver>.command": [("diff.marker.command", "{marker}")],
    "diff.<driver>.textconv": [("diff.marker.textconv", "{marker}")],
    "diff.external": [("diff.external", "{marker}")],
    "diff.guitool": [("diff.guitool", "marker")],
    "diff.tool": [("diff.tool", "marker")],
    "difftool.<tool>.cmd": [("difftool.marker.cmd", "{marker}")],
    "difftool.<tool>.path": [("difftool.vimdiff.path", "{marker}")],
    "filter.<driver>.clean": [("filter.marker.clean", "{marker}")],
    "filter.<driver>.smudge": [("filter.marker.smudge", "{marker}")],
    "gpg.<format>.program": [("gpg.ssh.program", "{marker}"), ("gpg.x509.program", "{marker}"), ("gpg.openpgp.program", "{marker}")],
    "gpg.program": [("gpg.program", "{marker}")],
    "gpg.ssh.defaultKeyCommand": [("gpg.ssh.defaultKeyCommand", "{marker}")],
    "guitool.<name>.cmd": [("guitool.marker.cmd", "{marker}")],
    "help.browser": [("help.browser", "marker")],
    "http.<url>.*": [("http.https://example.org.proxy", "http://127.0.0.1:9")],
    "http.proxy": [("http.proxy", "http://127.0.0.1:9")],
    "instaweb.browser": [("instaweb.browser", "{marker}")],
    "interactive.diffFilter": [("interactive.diffFilter", "{marker}")],
    "man.<tool>.cmd": [("man.marker.cmd", "{marker}")],
    "man.<tool>.path": [("man.marker.path", "{marker}")],
    "merge.<driver>.driver": [("merge.marker.driver", "{marker}")],
    "merge.guitool": [("merge.guitool", "marker")],
    "merge.tool": [("merge.tool", "marker")],
    "mergetool.<tool>.cmd": [("mergetool.marker.cmd", "{marker}")],
    "mergetool.<tool>.path": [("mergetool.vimdiff.path", "{marker}")],
    "pager.<cmd>": [("pager.status", "{marker}"), ("pager.config", "{marker}"), ("pager.for-each-ref", "{marker}")],
    "remote.<name>.proxy": [("remote.origin.proxy", "http://127.0.0.1:9")],
    "remote.<name>.pushurl": [("remote.origin.pushurl", "ext::{marker} push")],
    "remote.<name>.receivepack": [("remote.origin.receivepack", "{marker}")],
    "remote.<name>.uploadpack": [("remote.origin.uploadpack", "{marker}")],
    "remote.<name>.url": [("remote.origin.url", "file://{elsewhere}"), ("remote.ext.url", "ext::{marker} url")],
    "remote.<name>.vcs": [("remote.vcs.vcs", "ext"), ("remote.vcs.url", "{marker} vcs")],
    "sendemail.<identity>.*": [("sendemail.marker.sendmailCmd", "{marker}")],
    "sendemail.ccCmd": [("sendemail.ccCmd", "{marker}")],
    "sendemail.headerCmd": [("sendemail.headerCmd", "{marker}")],
    "sendemail.sendmailCmd": [("sendemail.sendmailCmd", "{marker}")],
    "sendemail.smtpServer": [("sendemail.smtpServer", "{marker}")],
    "sendemail.tocmd": [("sendemail.tocmd", "{marker}")],
    "sequence.editor": [("sequence.editor", "{marker}")],
    "submodule.<name>.update": [("submodule.sub.update", "!{marker}")],
    "submodule.<name>.url": [("submodule.other.url", "ext::{marker} submodule")],
    "trace2.eventTarget": [("trace2.eventTarget", "{ran}/trace2-event")],
    "trace2.normalTarget": [("trace2.normalTarget", "{ran}/trace2-normal")],
    "trace2.perfTarget": [("trace2.perfTarget", "{ran}/trace2-perf")],
    "uploadpack.packObjectsHook": [("uploadpack.packObjectsHook", "{marker}")],
    "url.<base>.insteadOf": [("url.ext::{marker} insteadOf .insteadOf", "/")],
    "url.<base>.pushInsteadOf": [("url.ext::{marker} pushInsteadOf .pushInsteadOf", "/")],
    "web.browser": [("web.browser", "marker")],
    # Documented elsewhere than in git-config(1).
    "filter.<driver>.process": [("filter.marker.process", "{marker}")],
    "extensions.partialClone": [("core.repositoryFormatVersion", "1"), ("extensions.partialClone", "origin")],
    "remote.<name>.promisor": [("remote.origin.promisor", "true")],
    "protocol.allow": [("protocol.allow", "always"), ("protocol.ext.allow", "always")],
    "gc.auto": [("gc.auto", "1"), ("maintenance.auto", "true")],
    "commit.gpgSign": [("commit.gpgSign", "true"), ("tag.gpgSign", "true"), ("log.showSignature", "true")],
    "submodule.recurse": [("submodule.recurse", "true"), ("status.submoduleSummary", "true"), ("diff.submodule", "log")],
    "core.untrackedCache": [("core.untrackedCache", "true")],
}

# The other settings name a file that is read, or nothing at all: pattern → reason.
HARMLESS = {
    r"(advice|color|column|fsck|(receive|fetch)\.fsck|feature|gitweb)\..*": "switches and words of what is shown or checked",
    r"(trace2|credential|credentialCache|credentialStore|fsmonitor|difftool|mergetool|merge|rebase|rerere|push|notes|status|stash)\."
    r"(?!.*(cmd|path|driver|helper|tool)$)(?!trace2\..*Target).*": "switches of the feature, none names a program",
    r"(diff|mergetool|guitool|notes)\.<.*>\.(binary|cachetextconv|wordRegex|xfuncname|algorithm|trustExitCode|hideResolved|argPrompt|confirm|"
    r"needsFile|noConsole|noRescan|prompt|revPrompt|revUnmerged|title|mergeStrategy)": "of a driver or tool, not its command",
    r"mergetool\.(meld|vimdiff)\..*": "how a tool is called, not which",
    r"bundle\..*": "of bundle lists that are downloaded, not of repositories",
    r"include(If\.<condition>)?\.path": "planted in a variant of its own, where all the others are in the included file",
    r"(core|blame|diff|mailmap|format|commit|gui)\.(attributesFile|excludesFile|ignoreRevsFile|orderFile|file|signatureFile|template|"
    r"newBranchTemplate|coverFromDescription|outputDirectory)": "a file that is read as data, or a place for files of a user's command",
    r"core\.(fsmonitorHookVersion|logAllRefUpdates|quotePath)": "a switch",
    r"core\.worktree": "a place: repository_test.cc",
    r"extensions\.worktreeConfig": "a switch: repository_test.cc",
    r"safe\..*": "of the operator's own configuration only: repository_test.cc",
    r"init\.templateDir": "of `git init` and `git clone`, and of the user's own configuration there",
    r"(add|clean|clone|interactive|maintenance|submodule|tag|worktree|receive|repack|gc|commit|commitGraph|completion|branch|fetch|transfer)\."
    r"(?!.*(cmd|command|program|helper|hook)$).*": "switches",
    r"gpg\.(format|minTrustLevel|ssh\.(allowedSignersFile|revocationFile))": "which program checks, not its path; files that it reads",
    r"(gitcvs|instaweb|help)\.(dbDriver|logFile|modulePath|htmlPath)": "of servers and viewers that a user starts",
    r"http\.(?!proxy$)[^<]*": "of connections, of which there are none",
    r"remote\.<name>\.(partialclonefilter|proxyAuthMethod|skipDefaultUpdate)": "of fetches, of which there are none",
    r"sendemail\.(aliasFileType|aliasesFile|forbidSendmailVariables|smtpServerOption|smtpServerPort|smtpsslcertpath)": "of mail",
    r"ssh\.variant": "a word",
    r"uploadpack(filter)?\.(?!packObjectsHook).*": "switches of a server",
    r"sequence\.(?!editor).*": "switches",
    r"imap\..*": "of mail",
}


def names():
    """Returns the settings that the installed git lists."""
    return subprocess.run(["git", "help", "--config"], capture_output=True, text=True, check=True).stdout.split()


def unknown():
    """Returns the listed names that look like a command and are in no table."""
    def harmless(name):
        return any(re.fullmatch(p, name) for p in HARMLESS) and not re.search(r"^(?!advice\.).*(cmd|command|program|helper|hook)$", name, re.I)
    return [name for name in names() if LOOKS_LIKE_ONE.search(name) and name not in COMMANDS and not harmless(name)]


def settings(**values):
    """Returns all of COMMANDS as (key, value)."""
    return [(key.format(**values), value.format(**values)) for pairs in COMMANDS.values() for key, value in pairs]
