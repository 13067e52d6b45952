"""Reads audit.toml: what the user allows (budgets), how bad what is (severities), and what is excused until when.

platforms = ["openwhisk", "aws-lambda-zip"]   # rows of profiles.toml; default: openwhisk

[rule.near-limit]                             # severity = note, warning, error or off; thresholds by name
severity = "error"
share = 0.8

[[budget]]                                    # exactly one of: whole = true, package, files, layer
package = "numpy"                             # a name, with * and ? for parts of it
at_most = "20 MiB"                            # or bytes, MB, …; or "25 %" of the whole
reason = "larger means OpenBLAS came along"

[[waiver]]
rule = "duplicate-content"
subject = "/usr/lib/**"                       # a glob over the finding's subject; default: every subject
reason = "the base image's own"
until = 2027-03-31                            # the last day on which it holds
"""

from __future__ import annotations

import datetime as dt
import math
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from audit.errors import ConfigError
from audit.globs import glob_expression
from files import Unreadable, read_file

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

# The thresholds of each rule that a file may name, with their defaults.
Thresholds: TypeAlias = "Mapping[str, Mapping[str, float]]"

Scope = Literal["whole", "package", "files", "layer"]
SCOPES: tuple[Scope, ...] = ("whole", "package", "files", "layer")
SEVERITIES = ("off", "note", "warning", "error")
DEFAULT_PLATFORMS = ("openwhisk",)
MAX_CONFIG_BYTES = 1 << 20

_UNITS = {"": 1, "B": 1, **{f"{prefix}B": 1000**power for power, prefix in enumerate(("k", "M", "G"), 1)}}
_UNITS |= {f"{prefix}iB": 1024**power for power, prefix in enumerate(("K", "M", "G"), 1)}
_AMOUNT = re.compile(r"\s*(\d[\d_]{0,19}(?:\.\d{1,9})?)\s*([A-Za-z]*|%)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRow:
    """A limit of audit.toml on a part of the target: `bytes`, or else `share` of the base.

    `name` is a glob over package names (package), over paths in the target (files), or a layer's number
    counted from 1 at the bottom (layer). The base of a share is the whole target, or the limit of a platform
    that `base` names, such as `aws-lambda-zip.unpacked`. `packed` counts bytes as compressed in a zip.
    """

    scope: Scope
    name: str = ""
    bytes: int | None = None
    share: float | None = None
    base: str = ""
    packed: bool = False
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """Findings of `rule` on subjects that match the glob `subject` are excused up to and including `until`."""

    rule: str
    subject: str = "**"
    reason: str
    until: dt.date

    def covers(self, rule: str, subject: str) -> bool:
        """Tell whether a finding is meant, whatever the date."""
        return rule == self.rule and glob_expression(self.subject).fullmatch(subject) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRow:
    """What audit.toml changes of one rule; `severity` is one of SEVERITIES, or empty for the rule's own."""

    severity: str = ""
    thresholds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that audit.toml says. `today` is the day on which waivers are looked at.

    `parameters` is the largest number of bytes that an invocation sends, to be held against the platforms'.
    """

    platforms: tuple[str, ...] = DEFAULT_PLATFORMS
    parameters: int | None = None
    budgets: tuple[BudgetRow, ...] = ()
    rules: Mapping[str, RuleRow] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()
    today: dt.date = dt.date.min

    @property
    def isa_level(self) -> int:
        """N of x86-64-vN that the processors of the target are sure to have: the level of the rule isa-level."""
        row = self.rules.get("isa-level", RuleRow())
        return int(row.thresholds.get("level", 1))


def load_config(path: str | os.PathLike[str], rules: Thresholds, today: dt.date) -> Config:
    """Read the audit.toml at `path`; see `parse_config`.

    Raises:
        ConfigError: it cannot be read, or says what makes no sense.
    """
    try:
        content = read_file(Path(path), MAX_CONFIG_BYTES, pipes=True)
        return parse_config(content.decode(), str(path), rules, today)
    except Unreadable as error:
        raise ConfigError(f"cannot read {path}: {error}. Name an audit.toml that exists.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is no UTF-8 text: save it again as UTF-8.") from error


def parse_config(text: str, name: str, rules: Thresholds, today: dt.date) -> Config:
    """Give the values of an audit.toml; `name` is what error texts call it.

    `rules` are those it may name, with their thresholds.

    Raises:
        ConfigError: it is no TOML, has an unknown key, an unknown rule, or a value that makes no sense.
    """
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError, as a number too long is
        raise ConfigError(f"{name} is no TOML: {error}.") from error
    _only(document, ("platforms", "parameters", "rule", "budget", "waiver"), name)
    platforms = document.get("platforms", list(DEFAULT_PLATFORMS))
    if not isinstance(platforms, list) or not all(isinstance(one, str) for one in platforms):
        raise ConfigError(f"{name}: platforms is a list of names, such as {list(DEFAULT_PLATFORMS)}.")
    if not isinstance(rows := document.get("rule", {}), dict):
        raise ConfigError(f"{name}: write the settings of a rule as [rule.near-limit].")
    parameters = document.get("parameters")
    if parameters is not None and (parameters := byte_count(str(parameters))) is None:
        raise ConfigError(f'{name}: parameters is a number of bytes, such as "700 kB".')
    return Config(
        platforms=tuple(platforms),
        parameters=parameters,
        rules={key: _rule(key, row, rules, f"{name}: [rule.{key}]") for key, row in rows.items()},
        budgets=tuple(_budget(row, where) for row, where in _rows(document, "budget", name)),
        waivers=tuple(_waiver(row, rules, where) for row, where in _rows(document, "waiver", name)),
        today=today,
    )


def byte_count(text: str) -> int | None:
    """Give the bytes that a text such as `48 MiB`, `50 MB` or `1_000` stands for; None when it is no such text."""
    match = _AMOUNT.fullmatch(text)
    unit = _UNITS.get(match[2]) if match else None
    return round(float(match[1]) * unit) if match and unit else None


def _rule(key: str, row: object, rules: Thresholds, where: str) -> RuleRow:
    _check_known(key, rules, where)
    if not isinstance(row, dict):
        raise ConfigError(f"{where} is a table of settings, such as severity.")
    _only(row, ("severity", *rules[key]), where)
    severity = row.get("severity", "")
    if "severity" in row and severity not in SEVERITIES:
        raise ConfigError(f"{where}: severity is {severity!r}; choose one of {', '.join(SEVERITIES)}.")
    thresholds = {name: value for name, value in row.items() if name != "severity"}
    for name, value in thresholds.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise ConfigError(f"{where}: {name} is {value!r}, and a number from 0 up is needed.")
    return RuleRow(severity=severity, thresholds=thresholds)


def _budget(row: Mapping[str, Any], where: str) -> BudgetRow:
    _only(row, (*SCOPES, "at_most", "of", "counts", "reason"), where)
    scopes = [scope for scope in SCOPES if scope in row]
    if len(scopes) != 1:
        raise ConfigError(f"{where}: say of what, by exactly one of {', '.join(SCOPES)}.")
    scope = scopes[0]
    if scope == "whole" and row[scope] is not True:
        raise ConfigError(f"{where}: write whole = true, or name a package, files or a layer.")
    name = "" if scope == "whole" else str(row[scope])
    if scope == "layer" and not (name.isdecimal() and int(name)):
        raise ConfigError(f"{where}: layer is {name!r}, and a number from 1 (the lowest) up is needed.")
    _glob(name, where)
    counts, base = row.get("counts", "unpacked"), row.get("of", "")
    if counts not in ("unpacked", "packed") or not isinstance(base, str):
        raise ConfigError(f"{where}: counts is unpacked or packed, `of` a limit such as openwhisk.zip.")
    amount = str(row.get("at_most", ""))
    size, share = byte_count(amount), _share(amount)
    if size is None and share is None:
        raise ConfigError(f'{where}: at_most is {amount!r}; write "20 MiB", "20 MB", bytes, or "25 %".')
    if base and share is None:
        raise ConfigError(f'{where}: `of` needs a share, such as at_most = "80 %".')
    if scope == "whole" and share is not None and not base:
        raise ConfigError(f"{where}: a share of the whole needs `of`: the limit of a platform.")
    reason = _reason(row, where)
    packed = counts == "packed"
    return BudgetRow(scope=scope, name=name, bytes=size, share=share, base=base, packed=packed, reason=reason)


def _waiver(row: Mapping[str, Any], rules: Thresholds, where: str) -> Waiver:
    _only(row, ("rule", "subject", "reason", "until"), where)
    rule = str(row.get("rule", ""))
    _check_known(rule, rules, where)
    subject = row.get("subject", "**")
    if not isinstance(subject, str):
        raise ConfigError(f"{where}: subject is {subject!r}, and a glob is needed.")
    _glob(subject, where)
    until = row.get("until")
    if not isinstance(until, dt.date) or isinstance(until, dt.datetime):
        raise ConfigError(f"{where}: name its last day, such as until = 2027-03-31.")
    return Waiver(rule=rule, subject=subject, reason=_reason(row, where), until=until)


def _rows(document: Mapping[str, Any], key: str, name: str) -> list[tuple[Mapping[str, Any], str]]:
    rows = document.get(key, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ConfigError(f"{name}: write each {key} as a table of its own, under [[{key}]].")
    return [(row, f"{name}: [[{key}]] number {number}") for number, row in enumerate(rows, 1)]


def _only(row: Mapping[str, object], keys: Iterable[str], where: str) -> None:
    allowed = tuple(keys)
    for key in row:
        if key not in allowed:
            raise ConfigError(f"{where}: unknown key {key!r}; known are {', '.join(allowed)}.")


def _check_known(key: str, rules: Thresholds, where: str) -> None:
    if key not in rules:
        raise ConfigError(f"{where}: there is no rule {key!r}; known are {', '.join(rules)}.")


def _reason(row: Mapping[str, Any], where: str) -> str:
    reason = row.get("reason")
    if not isinstance(reason, str) or not reason.strip():
        raise ConfigError(f"{where}: give a reason, so that the next reader can tell whether it still holds.")
    return reason


def _glob(pattern: str, where: str) -> None:
    try:
        glob_expression(pattern)
    except re.error as error:
        raise ConfigError(f"{where}: {pattern!r} is no glob: {error}.") from error


def _share(text: str) -> float | None:
    match = _AMOUNT.fullmatch(text)
    return float(match[1]) / 100 if match and match[2] == "%" else None
