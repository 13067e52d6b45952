"""Runs inside the image: imports Python's standard library, and looks at what surrounds an action."""

# ruff: noqa: PTH123 - what an action would write

import importlib
import os
import ssl
import sys
from typing import Any


def main(arguments: dict[str, Any]) -> dict[str, Any]:
    failed = {}
    for name in sorted(sys.stdlib_module_names):
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            failed[name] = repr(error)
    try:
        with open(arguments["forbidden"], "w"):
            written = True
    except OSError:
        written = False
    with open(arguments["permitted"], "w") as file:
        file.write("permitted")
    with open("/proc/self/status") as status:
        capabilities = next(line.split()[1] for line in status if line.startswith("CapEff"))
    return {
        "failed": failed,
        "written": written,
        "user": [os.getuid(), os.geteuid(), os.getgid()],
        "groups": os.getgroups(),
        "capabilities": int(capabilities, 16),
        "authorities": len(ssl.create_default_context().get_ca_certs()),
        "python": list(sys.version_info[:2]),
    }
