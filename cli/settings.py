"""The settings of one command: the command line's, the environment's and invoke.yaml's, checked."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from errors import Under48Error

MIRRORS = "UNDER48_MIRRORS"
"""The variable of the environment that names mirrors: folders or URLs, with `;` between."""


class BadSetting(Under48Error):
    """A setting, of invoke.yaml or the command line, is not what it should be."""

    exit_code = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What invoke.yaml explains, with its names; `memory` in MB, `limit` in MiB."""

    model: str
    arch: str
    base: str
    engine: str
    cache: Path
    mirrors: tuple[str, ...]
    memory: int
    limit: float
    update_base: bool


def read_settings(values: Mapping[str, Any], root: Path, environ: Mapping[str, str]) -> Settings:
    """Check what invoke.yaml and the command line give; what is missing or null is as if it were not set.

    Folders of invoke.yaml are named from `root`, the project's, those of the option --mirror and of the variable
    UNDER48_MIRRORS in `environ` from the current one. Mirrors of the option come first, those of invoke.yaml last.

    Raises:
        BadSetting: something is not of the kind it should be.
    """

    def text(name: str) -> str:
        value = values.get(name) or ""
        return value if isinstance(value, str) else _refuse(name, value, "a text")

    def words(name: str) -> list[str]:
        value = values.get(name) or []
        if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
            _refuse(name, value, "a list of folders or URLs")
        return [word for word in value if word]

    def number(name: str) -> float:
        value = values.get(name) or 0
        try:
            found = float(value)
        except (TypeError, ValueError):
            found = math.nan
        if isinstance(value, bool) or not (math.isfinite(found) and found >= 0):
            _refuse(name, value, "a number from 0 up")
        return found

    named = text("model")
    if not named:
        raise BadSetting("no model is named: give --model, or set `model` in invoke.yaml")
    cache = text("cache")
    return Settings(
        model=named,
        arch=text("arch"),
        base=text("base"),
        engine=text("engine"),
        cache=root / Path(cache).expanduser() if cache else user_cache_path("under48"),
        mirrors=(
            *(_mirror(word, Path.cwd()) for word in words("mirror")),
            *environment_mirrors(environ),
            *(_mirror(word, root) for word in words("mirrors")),
        ),
        memory=round(number("memory")) or 256,
        limit=number("limit"),
        update_base=bool(values.get("update_base")),
    )


def environment_mirrors(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The mirrors that UNDER48_MIRRORS names, in its order; a relative folder starts at the working directory."""
    pieces = (piece.strip() for piece in environ.get(MIRRORS, "").split(";"))
    return tuple(_mirror(piece, Path.cwd()) for piece in pieces if piece)


def _mirror(name: str, folder: Path) -> str:
    return name if "://" in name else str(folder / Path(name).expanduser())


def _refuse(name: str, value: object, wanted: str) -> Any:
    raise BadSetting(f"the setting {name} is {value!r}, and {wanted} is needed")
