"""What a rule is, and what it yields: a key, a severity, a configuration, one function of the analysis."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from audit.analysis import Analysis


class Severity(IntEnum):
    """How bad a finding is; comparable."""

    NOTE = 1
    WARNING = 2
    ERROR = 3


class Verdict(NamedTuple):
    """What a rule says of one subject: what is wrong, and what to do about it.

    `subject` is a path, the target's name or the like: nothing that the next build changes, such as a count.
    `about` tells verdicts of one rule on one subject apart, under the same condition; a report shows it nowhere.
    """

    subject: str
    message: str
    remedy: str
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule's verdict with its severity; `about` as in Verdict."""

    rule: str
    severity: Severity
    subject: str
    message: str
    remedy: str
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`judge` gets the analysis and the rule's `config`, and yields a verdict per subject at fault.

    `means`, `matters`, `mend` and `source` are what `--explain` says: what a finding means, why it matters, how to
    mend it, and where the rule comes from (manual page and section, specification, platform source).
    """

    key: str
    severity: Severity
    judge: Callable[[Analysis, Mapping[str, float]], Iterable[Verdict]]
    means: str = ""
    matters: str = ""
    mend: str = ""
    source: str = ""
    config: Mapping[str, float] = field(default_factory=dict)
