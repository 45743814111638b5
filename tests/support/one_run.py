"""A run in a process of its own: ``python -m tests.support.one_run LANDING LAKE``."""

import sys

from tests.support.lake import load

if __name__ == "__main__":
    load(sys.argv[1], sys.argv[2])
