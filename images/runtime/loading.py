"""Turns a folder with an action's files into the function that answers activations, and forgets it again."""

# ruff: noqa: PTH112, PTH113, PTH118, PTH123 - pathlib costs 7 ms of a cold start
from __future__ import annotations

import gc
import os
import sys

from .unpack import CodeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

    Action = Callable[[object], object]

MODULE = "main__"
"""The name that official runtimes import an action under; it is in pickles that users have made."""

ENTRIES = ("__main__.py", "exec", "main__.py")
"""Files at the root that may hold the action, as official runtimes take them."""


class StartError(Exception):
    """The code was run and gave no action; the text belongs into the log."""


def write_source(source: bytes, folder: str) -> None:
    """Make a folder of plain source text: a file, so that tracebacks can show its lines."""
    try:
        with open(os.path.join(folder, ENTRIES[0]), "wb") as file:
            file.write(source)
    except OSError as error:
        raise CodeError(f"the code cannot be written into {folder}: {error.strerror}") from None


def load(folder: str, main: str) -> Action:
    """Import the action in `folder` and give its function `main`.

    The folder becomes the working directory and the head of sys.path, a `virtualenv/` in it is activated.
    Raises CodeError when there is no code that can be compiled, StartError when it has no such function, and
    whatever the code raises while it is imported, SystemExit included.
    """
    code = _compile(folder)
    _activate_virtualenv(folder)
    os.chdir(folder)
    sys.path.insert(0, folder)
    module = type(sys)(MODULE)
    module.__file__ = code.co_filename
    sys.modules[MODULE] = module
    exec(code, module.__dict__)  # noqa: S102 - running the action's code is what this program is for
    function = vars(module).get(main)
    if not callable(function):
        raise StartError(f"the action has no function {main!r}")
    found: Action = function
    return found


def forget(folder: str) -> None:
    """Undo `load` as far as Python can: modules from `folder` go, and what they hold (an open model)."""
    sys.path[:] = [path for path in sys.path if path != folder]
    inside = folder.rstrip("/") + "/"
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.startswith(inside):
            del sys.modules[name]
    gc.collect()


def _compile(folder: str) -> CodeType:
    for entry in ENTRIES:
        path = os.path.join(folder, entry)
        if os.path.isfile(path):
            break
    else:
        raise CodeError(f"Zip file does not include mandatory files: no {ENTRIES[0]} at its root")
    if os.path.isfile(os.path.join(folder, "requirements.txt")) and not _has_virtualenv(folder):
        raise CodeError(
            "requirements.txt: this runtime has no pip; put the packages into the zip, beside the code or "
            "made with virtualenv into a folder virtualenv/, and leave requirements.txt out"
        )
    try:
        with open(path, "rb") as file:
            return compile(file.read(), path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError, OSError) as error:
        error.__traceback__ = None  # our own frames say nothing to the action's author
        raise CodeError("the action's code cannot be compiled") from error


def _has_virtualenv(folder: str) -> bool:
    return os.path.isdir(os.path.join(folder, "virtualenv"))


def _activate_virtualenv(folder: str) -> None:
    if not _has_virtualenv(folder):
        return
    script = os.path.join(folder, "virtualenv", "bin", "activate_this.py")
    if not os.path.isfile(script):
        raise CodeError(
            "Invalid virtualenv. Zip file does not include virtualenv/bin/activate_this.py: make it with "
            "virtualenv, not with python -m venv"
        )
    with open(script, "rb") as file:
        code = compile(file.read(), script, "exec", dont_inherit=True)
    exec(code, {"__file__": script, "__name__": "__main__"})  # noqa: S102 - that is how virtualenv wants it
