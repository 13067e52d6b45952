"""Reads profiles.toml: what each platform takes, in bytes, and where that is written."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from audit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Counts = Literal["archive", "archive-as-base64", "unpacked", "image", "parameters"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformLimit:
    """One limit of a platform, in bytes of what `counts` says.

    `decides` is False when it is only shown; `detour` says what still works when it is exceeded.
    """

    key: str
    label: str
    counts: Counts
    bytes: int
    reason: str
    source: str
    decides: bool = True
    detour: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A platform and its limits."""

    key: str
    title: str
    limits: tuple[PlatformLimit, ...]


@cache
def profiles() -> Mapping[str, Profile]:
    """Give every platform that is known, by its key."""
    document = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
    return MappingProxyType(
        {
            key: Profile(
                key=key, title=row["title"], limits=tuple(PlatformLimit(**limit) for limit in row["limit"])
            )
            for key, row in document.items()
        }
    )


def profiles_named(keys: Iterable[str]) -> tuple[Profile, ...]:
    """Give the platforms of these keys.

    Raises:
        ConfigError: one is not known.
    """
    known = profiles()
    chosen = tuple(dict.fromkeys(keys))
    for key in chosen:
        if key not in known:
            raise ConfigError(f"there is no platform {key!r}; known are {', '.join(known)}.")
    return tuple(known[key] for key in chosen)


def limit_named(name: str) -> PlatformLimit:
    """Give a limit by its name, such as `aws-lambda-zip.unpacked`.

    Raises:
        ConfigError: it is not known.
    """
    limits = {
        f"{profile.key}.{limit.key}": limit for profile in profiles().values() for limit in profile.limits
    }
    if name not in limits:
        raise ConfigError(f"there is no limit {name!r}; known are {', '.join(limits)}.")
    return limits[name]
