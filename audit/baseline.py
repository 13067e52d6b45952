"""Compares a report with an earlier one: what changed in bytes, libraries and findings.

An earlier report is what `--format json` printed or `--save-baseline` wrote; they are the same.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from audit.errors import AuditError
from audit.report import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Document = dict[str, Any]


class Delta(NamedTuple):
    """Bytes of something before and now; None where it did not exist."""

    name: str
    before: int | None
    now: int | None

    @property
    def change(self) -> int:
        """Bytes more than before; negative when less."""
        return (self.now or 0) - (self.before or 0)


class Relinked(NamedTuple):
    """A NEEDED of a file that leads elsewhere than before; None is nowhere."""

    file: str
    needed: str
    before: str | None
    now: str | None


class Verdict(NamedTuple):
    """A finding that came or went."""

    id: str
    severity: str
    rule: str
    subject: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What differs between two reports; lists of bytes begin with the largest change."""

    before: str
    sizes: tuple[Delta, ...]
    packages: tuple[Delta, ...]
    files: tuple[Delta, ...]
    libraries: tuple[Delta, ...]
    relinked: tuple[Relinked, ...]
    new: tuple[Verdict, ...]
    gone: tuple[Verdict, ...]

    @property
    def any(self) -> bool:
        """Tell whether anything changed."""
        return bool(any(d.change for d in self.sizes) or self.files or self.relinked or self.new or self.gone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The reports of an earlier audit, one a target; `name` is what they were read from."""

    name: str
    documents: tuple[Document, ...]

    def changes(self, now: Sequence[Document]) -> tuple[Changes, ...]:
        """Give what changed up to the reports of today, target by target.

        Raises:
            AuditError: it is of another number of targets, or lacks what schema.json asks for.
        """
        if len(self.documents) != len(now):
            raise AuditError(
                f"{self.name} holds the reports of {len(self.documents)} targets, where {len(now)} were "
                "audited: give the baseline of the same command."
            )
        return tuple(compare(*pair, self.name) for pair in zip(self.documents, now, strict=True))


def changes_as_json(changes: Changes) -> dict[str, Any]:
    """Give the changes as plain values for json.dumps: the key "changes" of a report."""
    lists = ("sizes", "packages", "files", "libraries", "relinked", "new", "gone")
    return {
        "before": changes.before,
        **{name: [one._asdict() for one in getattr(changes, name)] for name in lists},
    }


def read_baseline(content: str, name: str) -> Baseline:
    """Read the reports of an earlier audit.

    Raises:
        AuditError: `content`, read from `name`, is no such report.
    """
    try:
        documents = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise AuditError(f"{name} is no JSON: {error}. Write it with --save-baseline.") from error
    if not isinstance(documents, list) or not all(isinstance(d, dict) for d in documents):
        raise AuditError(f"{name} is no baseline: write it with --save-baseline.")
    for document in documents:
        if document.get("schema") != SCHEMA:
            raise AuditError(
                f"{name} has the schema {document.get('schema')!r}, where {SCHEMA} is read: "
                "write it again with --save-baseline."
            )
    return Baseline(name=name, documents=tuple(documents))


def compare(before: Document, now: Document, name: str = "the baseline") -> Changes:
    """Give what changed from one report to another; `name` is what error texts call the earlier one.

    Raises:
        AuditError: the earlier report lacks what schema.json asks for.
    """
    try:
        return _compare(before, now)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise AuditError(f"{name} is damaged ({error!r}): write it again with --save-baseline.") from error


def _compare(before: Document, now: Document) -> Changes:
    files = _bytes(before["files"], "path"), _bytes(now["files"], "path")
    native = {one["path"] for document in (before, now) for one in document["linkage"]}
    changed = _deltas(*files)
    return Changes(
        before=str(before["target"]["name"]),
        sizes=tuple(
            Delta(label, old, new)
            for label, key in (
                ("files", "bytes"),
                ("compressed", "compressed_bytes"),
                ("archive", "archive_bytes"),
            )
            if ((old := _count(before["summary"][key])), (new := _count(now["summary"][key]))) != (None, None)
        ),
        packages=_deltas(_bytes(before["packages"], "name"), _bytes(now["packages"], "name")),
        files=changed,
        libraries=tuple(delta for delta in changed if delta.name in native),
        relinked=_relinked(before, now),
        new=_findings(now, without=before),
        gone=_findings(before, without=now),
    )


def _count(value: object) -> int | None:
    if value is not None and not isinstance(value, int):
        raise TypeError(f"{value!r} is no number of bytes")
    return value


def _bytes(rows: Sequence[Mapping[str, Any]], key: str) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for row in rows:
        sizes[str(row[key])] = sizes.get(str(row[key]), 0) + int(row["bytes"])
    return sizes


def _deltas(before: Mapping[str, int], now: Mapping[str, int]) -> tuple[Delta, ...]:
    names = before.keys() | now.keys()
    deltas = [
        Delta(name, before.get(name), now.get(name)) for name in names if before.get(name) != now.get(name)
    ]
    return tuple(sorted(deltas, key=lambda delta: (-abs(delta.change), delta.name)))


def _relinked(before: Document, now: Document) -> tuple[Relinked, ...]:
    """List the NEEDED that both reports have and that lead elsewhere; of new files nothing was known before."""

    def paths(document: Document) -> dict[tuple[str, str], str | None]:
        return {
            (one["path"], edge["name"]): edge["path"] for one in document["linkage"] for edge in one["needed"]
        }

    old, new = paths(before), paths(now)
    both = sorted(old.keys() & new.keys())
    return tuple(Relinked(*key, old[key], new[key]) for key in both if old[key] != new[key])


def _findings(document: Document, *, without: Document) -> tuple[Verdict, ...]:
    known = {finding["id"] for finding in without["findings"]}
    return tuple(
        Verdict(*(str(finding[key]) for key in Verdict._fields))
        for finding in document["findings"]
        if finding["id"] not in known
    )
