"""Keeps `os.environ` as the platform wants it: exported at /init, `__OW_*` anew for each activation."""

from __future__ import annotations

import os

from .messages import MalformedError, as_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ctypes

_PREFIX = "__OW_"

# What /run sends with every activation. /init sends that of the first activation too: it must not outlive
# that, least of all the API key.
_CONTEXT = frozenset(
    _PREFIX + name
    for name in (
        "ACTION_NAME",
        "ACTION_VERSION",
        "ACTIVATION_ID",
        "API_KEY",
        "DEADLINE",
        "NAMESPACE",
        "TRANSACTION_ID",
    )
)

# The memory that the C library's environment points to, for each of them: NAME=VALUE and a zero byte.
_entries: dict[str, ctypes.Array[ctypes.c_char]] = {}


class Environment:
    """The process's environment through the life of one container."""

    def __init__(self) -> None:
        """Take the container's own `__OW_*`, such as __OW_API_HOST, as what every activation sees."""
        self._lasting = _platform_variables()

    def export(self, env: dict[str, str]) -> None:
        """Export what /init brought; MalformedError when the system cannot hold it."""
        _update(env)
        self._lasting |= {name: value for name, value in env.items() if name.startswith(_PREFIX)}
        for name in _CONTEXT & env.keys():
            del self._lasting[name]

    def begin(self, message: dict[str, object]) -> None:
        """Set an activation's context, every key of /run's body but `value`; drop that of the one before."""
        wanted = self._lasting | {
            _PREFIX + name.upper(): as_text(value) for name, value in message.items() if name != "value"
        }
        for name in _platform_variables().keys() - wanted.keys():
            del os.environ[name]
        _update(wanted)


def _platform_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(_PREFIX)}


def _update(variables: dict[str, str]) -> None:
    for name, value in variables.items():
        if os.environ.get(name) == value:
            continue
        try:
            if name in _CONTEXT:
                _replace(name, value)
            else:
                os.environ[name] = value
        except (ValueError, OSError):  # "=" or a zero byte in it; the value may be a secret and is not shown
            raise MalformedError(
                f"Error unmarshaling request: {name!r} cannot be set in the environment"
            ) from None


def _replace(name: str, value: str) -> None:
    """Set a variable for Python, C code and child processes, each time in the same memory.

    setenv(3), which `os.environ` calls, keeps every value there ever was, and each activation brings three new
    ones: 259 bytes of them. putenv(3) takes the caller's own memory.
    """
    import ctypes  # noqa: PLC0415 - the classifier has loaded it; others pay 4 ms for it here, not at the start

    entry = os.fsencode(f"{name}={value}")
    if 0 in entry:
        raise ValueError(name)
    memory = _entries.get(name)
    if memory is None or len(memory) <= len(entry):
        # The old memory stays until the new one is in its place.
        memory = ctypes.create_string_buffer(2 * len(entry))
    memory.value = entry
    if ctypes.pythonapi.putenv(memory):
        raise OSError(name)
    _entries[name] = memory
    # Python's own copy, which an assignment to os.environ would set together with C's.
    os.environ._data[os.fsencode(name)] = os.fsencode(value)  # type: ignore[attr-defined]  # noqa: SLF001
