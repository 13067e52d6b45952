"""Says what a rule means, why it matters, how to mend it, and where it comes from."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from audit.errors import AuditError
from audit.printable import paragraph

if TYPE_CHECKING:
    from collections.abc import Iterable

    from audit.rules import Rule

EVERY = "all"
_PARTS = (
    ("what it means", "means"),
    ("why it matters", "matters"),
    ("how to mend it", "mend"),
    ("source", "source"),
)


def explain(key: str, rules: Iterable[Rule]) -> str:
    """Give the explanation of the rule named `key`, or of every rule for "all", in 100 columns.

    Raises:
        AuditError: there is no such rule; the text names the nearest and lists all.
    """
    known = {rule.key: rule for rule in rules}
    if key == EVERY:
        return "\n\n".join(_explained(rule) for rule in known.values())
    if key not in known:
        near = difflib.get_close_matches(key, known, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        listed = paragraph(", ".join(known))
        raise AuditError(f"there is no rule {key!r}.{hint} Name one of these, or {EVERY}:\n{listed}")
    return _explained(known[key])


def _explained(rule: Rule) -> str:
    options = ", ".join(f"{name} = {value:g}" for name, value in rule.config.items())
    rows = [("severity", rule.severity.name.lower())]
    rows += [(label, text) for label, name in _PARTS if (text := getattr(rule, name))]
    rows += [("options", options)] if options else []
    return "\n".join([rule.key, *(_row(label, text) for label, text in rows)])


def _row(label: str, text: str) -> str:
    return paragraph(text, f"  {label:<15} ", " " * 18)
