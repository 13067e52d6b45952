"""Keeps `os.environ` as the platform wants it: exported at /init, `__OW_*` anew for each activation."""

from __future__ import annotations

import os

from .messages import MalformedError, as_text

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
        try:
            os.environ[name] = value
        except (ValueError, OSError):  # "=" or a zero byte in it; the value may be a secret and is not shown
            raise MalformedError(
                f"Error unmarshaling request: {name!r} cannot be set in the environment"
            ) from None
