import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "standin")]

from awscli_once import awscli_once  # noqa: E402


@pytest.fixture(scope="session")
def aws_path():
    """A PATH with the real `aws` command, which was imported only once."""
    with awscli_once() as folder:
        yield folder + ":/usr/bin:/bin"
