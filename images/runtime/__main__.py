"""Starts the runtime from wherever its folder lies: `python3 /under48/runtime`."""

import sys

if __name__ == "__main__":
    # A package under a name that no user code has, and nothing on sys.path: an action may have its own
    # `runtime`.
    here = (
        sys.path.pop(0) if sys.path[0] and __file__.startswith(sys.path[0]) else __file__.rpartition("/")[0]
    )
    package = type(sys)("under48_runtime")
    package.__path__ = [here or "."]
    sys.modules["under48_runtime"] = package
    __package__ = "under48_runtime"

    from .server import main

    sys.exit(main())
