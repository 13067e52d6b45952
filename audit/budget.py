"""A limit in bytes with the reason for it, and how a target stands against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from audit.errors import ConfigError
from audit.globs import glob_expression
from audit.profiles import limit_named, profiles_named
from audit.tree import inside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from audit.config import BudgetRow, Config
    from audit.profiles import Counts
    from audit.sizes import FileSize, Sizes
    from audit.tree import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """`used` against `limit`, in bytes of what `label` says; `decides` is False when it is only shown.

    `detour` says what still works when it is exceeded. `packed` tells that bytes count as compressed in a zip,
    `paths` which files count (None: all of them), `hidden` how many of the used bytes later layers of an image
    hide, and `empty` that it names something that is not there.
    """

    label: str
    limit: int
    used: int
    reason: str
    decides: bool = True
    detour: str = ""
    source: str = ""
    packed: bool = False
    paths: frozenset[str] | None = None
    hidden: int = 0
    empty: bool = False

    @property
    def left(self) -> int:
        """Bytes left; negative when over."""
        return self.limit - self.used

    @property
    def share(self) -> float:
        """The used share of the limit; 1.0 is full."""
        return self.used / self.limit if self.limit else float("inf")

    @property
    def over(self) -> bool:
        """Tell whether more is used than allowed; exactly the limit is allowed."""
        return self.used > self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A limit that the user sets, in bytes: of the zip for an archive, else of all files."""

    bytes: int
    label: str = "limit set by the user"
    reason: str = "given by the user"


def base64_length(size: int) -> int:
    """Give the length of `size` bytes as base64 text (RFC 4648: four characters for every three bytes)."""
    return 4 * ((size + 2) // 3)


def budgets(
    target: Tree,
    measured: Sizes,
    config: Config,
    limit: Limit | None = None,
    at: str = "/",
) -> tuple[Budget, ...]:
    """List the budgets of a target: those of the platforms, of audit.toml, and the `limit` of the command line.

    `at` is where the measured files of the target lie.

    Raises:
        ConfigError: audit.toml names a platform or a limit that is not known.
    """
    found = list(_of_platforms(target, measured, config.platforms, config.parameters))
    if limit is not None:
        size = target.archive_size
        used = measured.size if size is None else size
        found.append(
            Budget(
                label=limit.label, limit=limit.bytes, used=used, reason=limit.reason, packed=size is not None
            )
        )
    found += [_of_row(row, target, measured, at) for row in config.budgets]
    return tuple(found)


def hidden_bytes(target: Tree) -> int:
    """Count the bytes of files in an image's layers that later layers overwrite or delete."""
    return sum(lost.size for layer in target.layers for lost in layer.lost)


def used_of(counts: Counts, target: Tree, measured: Sizes, parameters: int | None = None) -> int | None:
    """Give the bytes that a platform's limit counts, or None when it is not about such a target."""
    size = target.archive_size
    match counts:
        case "archive":
            return size
        case "archive-as-base64":
            return None if size is None else base64_length(size)
        case "unpacked":
            return None if target.form in ("image", "tar") else measured.size
        case "image":
            return sum(layer.size for layer in target.layers) if target.form == "image" else None
        case "parameters":
            return parameters


def _of_platforms(
    target: Tree, measured: Sizes, platforms: Iterable[str], parameters: int | None
) -> Iterator[Budget]:
    for profile in profiles_named(platforms):
        for limit in profile.limits:
            used = used_of(limit.counts, target, measured, parameters)
            if used is not None:
                yield Budget(
                    label=limit.label,
                    limit=limit.bytes,
                    used=used,
                    reason=limit.reason,
                    decides=limit.decides,
                    detour=limit.detour,
                    source=limit.source,
                    packed=limit.counts.startswith("archive"),
                    hidden=hidden_bytes(target) if limit.counts == "image" else 0,
                    # Nothing that a cut of files could help: the parameters are no part of the target.
                    paths=frozenset() if limit.counts == "parameters" else None,
                )


def _of_row(row: BudgetRow, target: Tree, measured: Sizes, at: str) -> Budget:
    """Measure what a row of audit.toml is about; what it names need not be there."""
    label = {"whole": "whole", "files": row.name}.get(row.scope, f"{row.scope} {row.name}")
    paths: frozenset[str] | None = None
    hidden = 0
    if row.scope == "layer":
        found = target.layers[int(row.name) - 1 : int(row.name)]
        there, used = bool(found), sum(layer.size for layer in found)
        paths = frozenset(inside(at, path) for layer in found for path in layer.paths)
        hidden = sum(lost.size for layer in found for lost in layer.lost)
    elif row.scope == "whole":
        there, used = True, _whole(target, measured, packed=row.packed)
    else:
        matches = glob_expression(row.name).fullmatch
        start = 0 if at == "/" else len(at)
        members = [
            file
            for file in measured.files
            if matches(file.package.name if row.scope == "package" else file.path[start:])
        ]
        there, used = bool(members), _sum(members, packed=row.packed)
        paths = frozenset(file.path for file in members)
    return Budget(
        label=f"{label}, packed" if row.packed else label,
        limit=_allowed(row, target, measured),
        used=used,
        reason=row.reason,
        packed=row.packed,
        paths=paths,
        hidden=hidden,
        empty=not there,
    )


def _allowed(row: BudgetRow, target: Tree, measured: Sizes) -> int:
    if row.bytes is not None:
        return row.bytes
    if row.share is None:
        raise ConfigError(f"the budget of {row.scope} {row.name} has neither bytes nor a share.")
    if row.base:
        return int(row.share * limit_named(row.base).bytes)
    return int(row.share * _whole(target, measured, packed=row.packed))


def _whole(target: Tree, measured: Sizes, *, packed: bool) -> int:
    if not packed:
        return measured.size
    return measured.compressed or 0 if target.archive_size is None else target.archive_size


def _sum(files: Iterable[FileSize], *, packed: bool) -> int:
    return sum((file.compressed or 0) if packed else file.size for file in files)
