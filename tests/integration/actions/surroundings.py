"""Runs inside the image: what its process is allowed, what it can write to, and what listens."""

# ruff: noqa: PTH114, PTH118, PTH123, PTH208 - what an action would write

import os
from typing import Any

KERNEL = ("/proc", "/sys")  # the engine's masks protect what is in them
LISTENING = "0A"  # TCP_LISTEN in the kernel's net/tcp_states.h


def _sockets(kind: str) -> list[tuple[int, str]]:
    """Port and state of each."""
    with open(f"/proc/net/{kind}") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return [(int(row[1].rpartition(":")[2], 16), row[3]) for row in rows]


def main(_arguments: dict[str, Any]) -> dict[str, Any]:
    with open("/proc/1/status") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    places = []
    for folder, folders, files in os.walk("/"):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in KERNEL]
        places += [folder, *(os.path.join(folder, name) for name in files)]
    kinds = (os.path.isfile, os.path.isdir)
    return {
        "status": status,
        "listening": [
            port for kind in ("tcp", "tcp6") for port, state in _sockets(kind) if state == LISTENING
        ],
        "datagrams": [port for kind in ("udp", "udp6", "raw", "raw6") for port, _ in _sockets(kind)],
        "writable": [
            path
            for path in places
            if not os.path.islink(path) and any(kind(path) for kind in kinds) and os.access(path, os.W_OK)
        ],
        "processes": [name for name in os.listdir("/proc") if name.isdecimal()],
    }
