"""Makes repositories that run something if git may: a program that leaves a mark, in every place where git would run
it."""

import os
import subprocess

import command_settings

HOOKS = ("applypatch-msg commit-msg fsmonitor-watchman post-applypatch post-checkout post-commit post-index-change post-merge post-receive "
         "post-rewrite post-update pre-applypatch pre-auto-gc pre-commit pre-merge-commit pre-push pre-rebase pre-receive prepare-commit-msg "
         "proc-receive push-to-checkout reference-transaction sendemail-validate update").split()

MARKER = '#!/bin/sh\necho "$0 $*" >> %s/$(id -u)-$$\n'


def config_text(settings):
    text = ""
    for key, value in settings:
        section, _, name = key.partition(".")
        subsection, _, name = name.rpartition(".")
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        text += '[%s%s]\n\t%s = "%s"\n' % (section, ' "%s"' % subsection if subsection else "", name, quoted)
    return text


class Trap:
    def __init__(self, where):
        self.where, self.marks, self.hooks = where, os.path.join(where, "ran"), os.path.join(where, "hooks")
        self.marker = os.path.join(where, "marker")
        os.makedirs(self.hooks)
        os.makedirs(self.marks)
        os.chmod(self.marks, 0o1777)
        with open(self.marker, "w") as file:
            file.write(MARKER % self.marks)
        os.chmod(self.marker, 0o755)
        self.plant_hooks(self.hooks)

    def ran(self):
        """Returns what was run or written so far. [] is the wanted result."""
        return sorted(line.strip() for name in os.listdir(self.marks) for line in open(os.path.join(self.marks, name)))

    def clear(self):
        for name in os.listdir(self.marks):
            os.unlink(os.path.join(self.marks, name))

    def plant_hooks(self, directory):
        os.makedirs(directory, exist_ok=True)
        for hook in HOOKS:
            path = os.path.join(directory, hook)
            if not os.path.lexists(path):
                os.symlink(self.marker, path)

    def plant(self, git_dir, elsewhere, included):
        """Arms a git directory. With `included`, does so by include.path and info/attributes, with separate hooks."""
        values = {"marker": self.marker, "hooks": self.hooks, "ran": self.marks, "elsewhere": elsewhere}
        settings = command_settings.settings(**values)
        self.plant_hooks(os.path.join(git_dir, "hooks"))
        with open(os.path.join(git_dir, "config"), "a") as file:
            if not included:
                file.write(config_text(settings))
                return
            # git reads these two without includes.
            file.write(config_text(pair for pair in settings if pair[0].startswith("extensions.") or pair[0] == "core.repositoryFormatVersion"))
            file.write(config_text([("include.path", "planted"), ("includeIf.gitdir:**.path", "planted"), ("includeIf.onbranch:main.path", "planted")]))
        with open(os.path.join(git_dir, "planted"), "w") as file:
            file.write(config_text(pair for pair in settings if pair[0] != "core.hooksPath"))
        os.makedirs(os.path.join(git_dir, "info"), exist_ok=True)
        with open(os.path.join(git_dir, "info", "attributes"), "w") as file:
            file.write("* filter=marker diff=marker merge=marker\n")

    def repository(self, name, owner=0, included=False, missing=False):
        """Makes a repository with all of it, with a submodule and an inner repository that have it too, an alternate
        (unless `included`, because git then makes a copy in another way), and a tag whose object only a promisor has.
        With `missing`, HEAD needs such an object."""
        where, lender = os.path.join(self.where, name), os.path.join(self.where, name + "-lender")
        for path, commit in ((lender, "Lend"), (where, "Begin")):
            self._git(".", "init", "-q", "-b", "main", path)
            self._write(path, "README.md", "# %s\n" % commit)
            if not included:
                self._write(path, ".gitattributes", "* filter=marker diff=marker merge=marker\n")
            self._git(path, "add", "-A")
            self._git(path, "commit", "-qm", commit)
        self._git(where, "submodule", "--quiet", "add", lender, "sub")
        self._git(where, "commit", "-qm", "Add a submodule")
        self._git(".", "init", "-q", os.path.join(where, "nested"))
        self._write(where, "nested/file", "x\n")
        self._git(where, "tag", "-am", "note", "gone")
        self._forget(where, "gone")
        if missing:
            self._forget(where, "HEAD:README.md")
        if not included:
            with open(os.path.join(where, ".git/objects/info/alternates"), "w") as file:
                file.write(os.path.join(lender, ".git/objects") + "\n")
        for git_dir in (where + "/.git", where + "/.git/modules/sub", where + "/nested/.git", lender + "/.git"):
            self.plant(git_dir, lender, included)
        for path in (where, lender):
            # No index knows these files, so git must read each one to see whether it changed.
            subprocess.run(["find", path, "-path", "*/.git", "-prune", "-o", "-type", "f", "-exec", "touch", "-d", "2020-01-01", "{}", "+"],
                           check=True)
            subprocess.run(["chown", "-hR", "%d:%d" % (owner, owner), path], check=True)
        return where

    @staticmethod
    def _git(where, *args):
        done = subprocess.run(["git", "-C", where, "-c", "user.name=o", "-c", "user.email=o@example.org", "-c", "protocol.file.allow=always", *args],
                              capture_output=True, text=True)
        assert done.returncode == 0, (args, done.stderr)
        return done.stdout.strip()

    @staticmethod
    def _write(where, name, text):
        with open(os.path.join(where, name), "w") as file:
            file.write(text)

    def _forget(self, where, what):
        name = self._git(where, "rev-parse", what)
        os.unlink(os.path.join(where, ".git/objects", name[:2], name[2:]))


def expect_nothing(trap, what):
    assert trap.ran() == [], what
