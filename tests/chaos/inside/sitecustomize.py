"""Python runs this when a process starts that has this folder on its path: only those of `make chaos` do."""

import os

if "CHAOS" in os.environ:
    from tests.chaos.hooks import install

    install()
