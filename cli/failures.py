"""Turns what goes wrong into one message on stderr and an exit code, without a traceback."""

import errno
import functools
import os
import signal
import sys
from collections.abc import Callable
from typing import ParamSpec

from errors import Under48Error

_P = ParamSpec("_P")
ENGINE_LOST = 25
NO_ROOM = 3
# What a file system says when the user can do something about it; any other OSError is a bug's.
_USERS_OWN = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)


def reported(command: Callable[_P, None]) -> Callable[_P, None]:
    """Wrap a task: expected failures end it with their message and exit code, Ctrl-C with 130."""

    @functools.wraps(command)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            try:
                command(*args, **kwargs)
            finally:
                sys.stdout.flush()  # here, where it can still be told that the reader has gone
        except SystemExit as end:
            if end.code:  # else the next task of the line has its turn
                raise
        except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(128 + signal.SIGPIPE)
        except KeyboardInterrupt:
            _end(
                "interrupted; nothing half-done is left, downloads go on where they stopped",
                128 + signal.SIGINT,
            )
        except Exception as error:
            expected = _expected(error)
            if expected is None:
                raise
            _end(*expected)

    return wrapper


def _expected(error: Exception) -> tuple[str, int] | None:
    """The message and exit code for what is known to go wrong; None for a bug, which keeps its traceback."""
    import docker.errors  # noqa: PLC0415 - only now: `--list` and `--help` need no engine's client
    import requests  # noqa: PLC0415 - as above

    match error:
        case Under48Error():
            return str(error), error.exit_code
        case docker.errors.DockerException():
            return f"the engine refused: {getattr(error, 'explanation', None) or error}", ENGINE_LOST
        case requests.RequestException():
            return f"the connection to the engine broke; is it still running? ({error})", ENGINE_LOST
        case OSError() if error.errno in _USERS_OWN:
            what = error.filename or "a file"
            return f"{what}: {error.strerror}; free space or permit writing, then run again", NO_ROOM
    return None


def _end(message: str, code: int) -> None:
    print(f"under48: {message}", file=sys.stderr)
    sys.exit(code)
