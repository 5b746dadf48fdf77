"""Decides which things of a cloud a hook may touch. One account may have several owners (colleagues, a second machine,
another state directory), and names of VMs are unique only within one of them."""

import os

SESSION, OWNER, VM = "bottle-session", "bottle-owner", "bottle-vm"


def ours(labels):
    """Returns whether the labels of a thing say that bottle made it for the owner that asks now. Nothing is ours
    if no owner asks."""
    return SESSION in labels and labels.get(OWNER, "") == os.environ.get("BOTTLE_OWNER")
