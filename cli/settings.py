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
MEMORY_MB = (6, 1 << 20)  # the engine gives a container no less than 6 MB; the other end is 1 TB
LIMIT_MIB = (0, 1 << 30)  # 1 PB
_SHOWN_CHARACTERS = 40  # of a value that is refused


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
        return value if isinstance(value, str) else _refuse(f"the setting {name}", value, "a text")

    def words(name: str) -> list[str]:
        value = values.get(name) or []
        if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
            _refuse(f"the setting {name}", value, "a list of folders or URLs")
        return [word for word in value if word]

    def number(name: str, least: int, most: int) -> float:
        value = values.get(name) or 0
        try:
            found = float(value)
        except (TypeError, ValueError, OverflowError):
            found = math.nan
        if value != 0 and (isinstance(value, bool) or not least <= found <= most):
            _refuse(f"the setting {name}", value, f"a number from {least:,} to {most:,}")
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
        memory=round(number("memory", *MEMORY_MB)) or 256,
        limit=number("limit", *LIMIT_MIB),
        update_base=bool(values.get("update_base")),
    )


def environment_mirrors(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The mirrors that UNDER48_MIRRORS names, in its order; a relative folder starts at the working directory."""
    pieces = (piece.strip() for piece in environ.get(MIRRORS, "").split(";"))
    return tuple(_mirror(piece, Path.cwd()) for piece in pieces if piece)


def check_option(name: str, value: int, least: int, most: int) -> None:
    """Refuse the number of an option that is none of the settings where it is out of its range.

    Raises:
        BadSetting: it is.
    """
    if not least <= value <= most:
        _refuse(f"--{name}", value, f"a whole number from {least:,} to {most:,}")


def _mirror(name: str, folder: Path) -> str:
    return name if "://" in name else str(folder / Path(name).expanduser())


def _refuse(what: str, value: object, wanted: str) -> Any:
    shown = repr(value)
    if len(shown) > _SHOWN_CHARACTERS:
        shown = f"{shown[:_SHOWN_CHARACTERS]}…"
    raise BadSetting(f"{what} is {shown}, and {wanted} is needed")
