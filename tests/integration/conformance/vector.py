"""What a test vector is: calls of a fresh container, what they must give, and what its log must hold afterwards."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from images.activation import SENTINEL

if TYPE_CHECKING:
    from tests.integration.conformance.server import Server

_SHOWN = 90  # characters of a body or a log


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What a call gave: status and parsed JSON; without a status `body` says why, or what else was looked at."""

    status: int | None
    body: Any

    def __str__(self) -> str:
        return f"{'-' if self.status is None else self.status} {short(self.body)}"


@dataclass(frozen=True, slots=True)
class Where:
    """A condition on a body or a log, and its words in the table."""

    words: str
    holds: Callable[[Any], bool]

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One thing done to the container. It gives as many replies as are expected."""

    act: "Callable[[Server], Sequence[Reply]]"
    expected: tuple[tuple[int | None, Where], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Logs:
    """Sentinels on each stream, and the rest of each stream, trimmed; None where the vector does not say."""

    sentinels: int | None = None
    out: Where | None = None
    err: Where | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Vector:
    """One row of the table, named by the section of the contract that it is taken from."""

    id: str
    name: str
    steps: tuple[Step, ...]
    logs: Logs = Logs()
    adapts: str = ""  # where the official answer is another: why ours is this
    platform_only: str = ""  # why it cannot be so with a read-only root
    hardened_only: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    memory_mib: int = 256

    def applies(self, *, hardened: bool) -> bool:
        return not self.platform_only if hardened else not self.hardened_only

    @property
    def expected(self) -> str:
        replies = [
            f"{'-' if status is None else status} {where}"
            for step in self.steps
            for status, where in step.expected
        ]
        return "; ".join([*_folded(replies), *_logs(self.logs.sentinels, self.logs.out, self.logs.err)])


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a container did; `problems` is empty where that is what the vector expects."""

    got: str
    problems: tuple[str, ...]


def judge(vector: Vector, replies: Sequence[Reply], out: str, err: str) -> Outcome:
    """Compare what was got with what was expected; `out` and `err` are the whole log of each stream."""
    expected = [pair for step in vector.steps for pair in step.expected]
    problems = [
        f"reply {number}: expected {'-' if status is None else status} {where}, got {reply}"
        for number, ((status, where), reply) in enumerate(zip(expected, replies, strict=False), 1)
        if reply.status != status or not where.holds(reply.body)
    ]
    if len(expected) != len(replies):
        problems.append(f"expected {len(expected)} replies, got {len(replies)}")
    counts = [stream.count(SENTINEL) for stream in (out, err)]
    if vector.logs.sentinels is not None and counts != [vector.logs.sentinels] * 2:
        problems.append(f"expected {vector.logs.sentinels} sentinels on each stream, got {counts}")
    rest = [stream.replace(SENTINEL, "").strip() for stream in (out, err)]
    for name, where, text in zip(("stdout", "stderr"), (vector.logs.out, vector.logs.err), rest, strict=True):
        if where is not None and not where.holds(text):
            problems.append(f"{name}: expected {where}, got {text[:2000]!r}")
    shown = [
        None if where is None else short(text)
        for where, text in zip((vector.logs.out, vector.logs.err), rest, strict=True)
    ]
    sentinels = counts[0] if counts[0] == counts[1] else "/".join(map(str, counts))
    got = [*_folded([str(reply) for reply in replies]), *_logs(sentinels, *shown)]
    return Outcome(got="; ".join(got), problems=tuple(problems))


def short(value: Any) -> str:
    """A value in one short line: text as it is, the rest as JSON."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    text = " ".join(text.split()).encode(errors="backslashreplace").decode()
    return text if len(text) <= _SHOWN else f"{text[:50]}…{text[-30:]} ({len(text):,} characters)"


def _folded(replies: Sequence[str]) -> list[str]:
    """Equal neighbours as one, with their number."""
    runs: list[tuple[str, int]] = []
    for reply in replies:
        if runs and runs[-1][0] == reply:
            runs[-1] = (reply, runs[-1][1] + 1)
        else:
            runs.append((reply, 1))
    return [reply if count == 1 else f"{count} x {reply}" for reply, count in runs]


def _logs(sentinels: object, out: object, err: object) -> list[str]:
    parts = [] if sentinels is None else [f"S={sentinels}"]
    shown = ((name, str(part)) for name, part in (("out", out), ("err", err)) if part is not None)
    return [*parts, *(f"{name}: {part or '(empty)'}" for name, part in shown)]
