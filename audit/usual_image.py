"""Names the image in which a package of Python is usually unpacked."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from audit.python import Python


def usual_image(python: Python, needed: Iterable[str]) -> str:
    """Name the usual image for what the extension modules and wheels are built for; empty where nothing tells.

    `needed` are the libraries and loaders that the system is to have.
    """
    wheels = [one for wheel in python.own for one in wheel.interpreters]
    modules = [one.interpreter for one in python.extensions if one.interpreter is not None]
    built_for = Counter(one.minor for one in (*modules, *wheels) if one.implementation == "cpython")
    flavour = "alpine" if any("musl" in name for name in needed) else "slim"
    return f"python:3.{built_for.most_common(1)[0][0]}-{flavour}" if built_for else ""
