"""A limit in bytes with the reason for it, and how a target stands against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audit.tree import Tree

MIB = 1 << 20

# Apache OpenWhisk, core/entity Exec.scala and WhiskEntity.scala, whisk.exec-size-limit: the limit of 48 MB is
# checked against the code as it is sent, which for a zip is base64 text.
OPENWHISK_CODE_BYTES = 48 * MIB
OPENWHISK_ZIP_BYTES = OPENWHISK_CODE_BYTES // 4 * 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """`used` against `limit`, in bytes of what `label` says; `decides` is False when it is only shown."""

    label: str
    limit: int
    used: int
    reason: str
    decides: bool = True

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


def budgets(tree: Tree, unpacked: int, limit: Limit | None) -> tuple[Budget, ...]:
    """List the budgets of a target whose files are `unpacked` bytes: OpenWhisk's for a zip, the user's."""
    found: list[Budget] = []
    size = tree.archive_size
    if size is not None:
        found = [
            Budget(
                label="zip (OpenWhisk)",
                limit=OPENWHISK_ZIP_BYTES,
                used=size,
                reason="OpenWhisk measures base64 text, and 48 MiB of it hold 36 MiB of zip",
            ),
            Budget(
                label="the zip as base64 text, as sent",
                limit=OPENWHISK_CODE_BYTES,
                used=base64_length(size),
                reason="the same limit, as OpenWhisk measures it",
                decides=False,
            ),
            Budget(
                label="zip against the plain 48 MiB",
                limit=OPENWHISK_CODE_BYTES,
                used=size,
                reason="the limit as it is usually quoted; it does not decide",
                decides=False,
            ),
        ]
    if limit is not None:
        used = unpacked if size is None else size
        found.append(Budget(label=limit.label, limit=limit.bytes, used=used, reason=limit.reason))
    return tuple(found)
