"""Sees which programs and libraries the processes of a running container have mapped."""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import cast

from docker.errors import APIError
from docker.models.containers import Container

from audit import mapped_files

# The image's own Python: there need be no shell, no cat. A bare name is looked up on the image's PATH.
PYTHONS = ("/usr/bin/python3", "/usr/local/bin/python3", "python3")
MAX_BYTES = 64 << 20  # of all processes together; one has some 30 kB

# Prints the maps of each process but this one; those that have ended, or are another user's, are passed over.
_PRINT_MAPS = """\
import os, sys
for pid in os.listdir("/proc"):
    if pid.isdecimal() and int(pid) != os.getpid():
        try:
            with open(f"/proc/{pid}/maps", "rb") as maps:
                sys.stdout.buffer.write(maps.read())
        except OSError:
            pass
"""


def mapped(container: Container) -> frozenset[str]:
    """Give the paths, in the container, of the code that its processes have mapped; empty where it cannot be seen.

    A process of the image's own Python looks, in the container and as its user; its memory counts as the
    container's. Where none starts, this machine's /proc is read, which takes an engine on this machine and the
    rights of root or of the container's user.
    """
    for python in PYTHONS:
        if found := _from_inside(container, python):
            return found
    return _from_here(container)


def _from_inside(container: Container, python: str) -> frozenset[str]:
    command = [python, "-I", "-S", "-c", _PRINT_MAPS]
    try:
        chunks = container.exec_run(command, stderr=False, stream=True).output
        # An engine that cannot start it may print why instead: that names no file.
        return mapped_files(_text(cast("Iterable[bytes]", chunks)))
    except APIError:
        return frozenset()


def _text(chunks: Iterable[bytes]) -> str:
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > MAX_BYTES:
            break
    return content.decode("utf-8", "surrogateescape")


def _from_here(container: Container) -> frozenset[str]:
    try:
        container.reload()
    except APIError:  # it is gone
        return frozenset()
    first = int(container.attrs["State"].get("Pid") or 0)
    found: set[str] = set()
    todo = [first] if first else []  # 0: it has ended
    for pid in todo:  # grows while it is read
        process = Path("/proc") / str(pid)
        with contextlib.suppress(OSError):  # it has ended, or is not ours to look into
            found |= mapped_files((process / "maps").read_bytes().decode("utf-8", "surrogateescape"))
            todo += [int(child) for child in (process / f"task/{pid}/children").read_text().split()]
    return frozenset(found)
