"""Turns what goes wrong into one message on stderr and an exit code, without a traceback."""

import errno
import functools
import os
import signal
import sys
from collections.abc import Callable
from typing import ParamSpec

import docker.errors
import requests

from errors import Under48Error

_P = ParamSpec("_P")
ENGINE_LOST = 24


def reported(command: Callable[_P, None]) -> Callable[_P, None]:
    """Wrap a task: expected failures end it with their message and exit code, Ctrl-C with 130."""

    @functools.wraps(command)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except Under48Error as error:
            _end(str(error), error.exit_code)
        except docker.errors.DockerException as error:
            _end(f"the engine refused: {getattr(error, 'explanation', None) or error}", ENGINE_LOST)
        except requests.ConnectionError as error:
            _end(f"the connection to the engine broke; is it still running? ({error})", ENGINE_LOST)
        except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(128 + signal.SIGPIPE)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT):
                raise
            _end(
                f"{error.filename or 'a file'}: {error.strerror}; free space or permit writing, then run again",
                1,
            )
        except KeyboardInterrupt:
            _end(
                "interrupted; nothing half-done is left, downloads go on where they stopped",
                128 + signal.SIGINT,
            )

    return wrapper


def _end(message: str, code: int) -> None:
    print(f"under48: {message}", file=sys.stderr)
    sys.exit(code)
