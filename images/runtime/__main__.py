"""Starts the runtime from wherever its folder lies: `python3 /under48/runtime`."""

import sys
import time

if __name__ == "__main__":
    # A package of a name that no user code has, and nothing on sys.path: an action may have a `runtime` too.
    del sys.path[0]  # this folder: Python put it there
    package = type(sys)("under48_runtime")
    package.__path__ = [__file__.rpartition("/")[0] or "."]
    sys.modules["under48_runtime"] = package
    package.began = time.perf_counter()  # type: ignore[attr-defined]  # for an action that is loaded with the server
    __package__ = "under48_runtime"
    __spec__ = None

    from .server import main

    sys.exit(main())
