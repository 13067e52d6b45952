"""Does it fit?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit.rules.rule import Rule, Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from audit.analysis import Analysis
    from audit.budget import Budget


def _over_limit(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """What is over a limit is refused by the platform (OpenWhisk: HTTP 413)."""
    for budget in _deciding(analysis):
        if budget.over:
            yield Verdict(
                budget.label,
                f"{budget.used:,} bytes, {-budget.left:,} over {budget.limit:,}: {budget.reason}",
                "remove what the tables of sizes show and the action does not use",
            )


def _near_limit(analysis: Analysis, config: Mapping[str, float]) -> Iterator[Verdict]:
    """Little room is left: the next update may not fit."""
    for budget in _deciding(analysis):
        if config["share"] < budget.share and not budget.over:
            yield Verdict(
                budget.label,
                f"{budget.share:.1%} used, {budget.left:,} bytes left of {budget.limit:,}: {budget.reason}",
                "make room before the next update does not fit",
            )


def _deciding(analysis: Analysis) -> Iterator[Budget]:
    return (budget for budget in analysis.budgets if budget.decides)


RULES = (
    Rule(
        key="over-limit",
        severity=Severity.ERROR,
        judge=_over_limit,
        means="more bytes than a limit allows",
        matters="the platform refuses it (OpenWhisk: HTTP 413)",
        mend="remove what the tables of sizes show and the action does not use",
        source="Apache OpenWhisk, Exec.scala, whisk.exec-size-limit",
    ),
    Rule(
        key="near-limit",
        severity=Severity.WARNING,
        judge=_near_limit,
        means="little room is left below a limit",
        matters="the next update may not fit",
        mend="make room before the next update does not fit",
        source="Apache OpenWhisk, Exec.scala, whisk.exec-size-limit",
        config={"share": 0.9},
    ),
)
