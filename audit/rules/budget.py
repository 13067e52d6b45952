"""Does it fit?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit.rules.rule import Rule, Severity, Verdict
from audit.rules.wording import some

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from audit.analysis import Analysis
    from audit.budget import Budget

SHOWN = 4


def _over_limit(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """What is over a limit is refused by the platform (OpenWhisk: HTTP 413)."""
    for budget in _deciding(analysis):
        if budget.over and not budget.detour:
            yield Verdict(budget.label, _excess(budget), _remedy(analysis, budget))


def _over_detour(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """Some limits hold for one way only, and there is another."""
    for budget in _deciding(analysis):
        if budget.over and budget.detour:
            yield Verdict(budget.label, _excess(budget), budget.detour)


def _near_limit(analysis: Analysis, config: Mapping[str, float]) -> Iterator[Verdict]:
    """Little room is left: the next update may not fit."""
    for budget in _deciding(analysis):
        if config["share"] < budget.share and not budget.over:
            yield Verdict(
                budget.label,
                f"{budget.share:.1%} used, {budget.left:,} bytes left of {budget.limit:,}: {budget.reason}",
                "make room before the next update does not fit",
            )


def _empty(analysis: Analysis, _: Mapping[str, float]) -> Iterator[Verdict]:
    """A budget on what is not there guards nothing: a package was renamed, or a pattern is wrong."""
    for budget in analysis.budgets:
        if budget.empty:
            yield Verdict(
                budget.label,
                f"a budget of {budget.limit:,} bytes is set for it, and the target holds no such thing",
                "correct its name in audit.toml, or remove the budget",
            )


def _deciding(analysis: Analysis) -> Iterator[Budget]:
    return (budget for budget in analysis.budgets if budget.decides and not budget.empty)


def _excess(budget: Budget) -> str:
    return (
        f"{budget.used:,} bytes, {-budget.left:,} over {budget.limit:,} ({budget.share:.1%}): {budget.reason}"
    )


def _remedy(analysis: Analysis, budget: Budget) -> str:
    """Say the cut plan in short."""
    plan = next((plan for plan in analysis.cut_plans if plan.budget == budget), None)
    if plan is None or not plan.steps:
        return "remove what the tables of sizes show and the action does not use"
    steps = some([f"{step.cut.kind} of {step.cut.subject} ({step.size:,})" for step in plan.steps], SHOWN)
    if not plan.fits:
        end = f"then it is still {plan.after - budget.limit:,} bytes over: ship less, or as an image"
    else:
        end = f"then {budget.limit - plan.after:,} bytes are left"
    return f"remove in this order: {steps}; {end}"


RULES = (
    Rule(
        key="over-limit",
        severity=Severity.ERROR,
        judge=_over_limit,
        means="more bytes than a limit of a platform, or of audit.toml, allows",
        matters="the platform refuses it (OpenWhisk: HTTP 413; AWS Lambda: InvalidParameterValueException)",
        mend="follow the cut plan of the report",
        source="audit/profiles.toml names the source of each platform's limit; audit.toml its own reasons",
    ),
    Rule(
        key="over-direct-limit",
        severity=Severity.WARNING,
        judge=_over_detour,
        means="a limit is exceeded that holds for one way to deploy, while another is open",
        matters="the usual command to deploy it fails (AWS Lambda: RequestEntityTooLargeException)",
        mend="take the other way, which the finding names, or make it smaller",
        source="AWS Lambda developer guide, Lambda quotas",
    ),
    Rule(
        key="near-limit",
        severity=Severity.WARNING,
        judge=_near_limit,
        means="little room is left below a limit",
        matters="the next update may not fit",
        mend="make room before the next update does not fit",
        source="audit/profiles.toml names the source of each platform's limit; audit.toml its own reasons",
        config={"share": 0.9},
    ),
    Rule(
        key="budget-without-subject",
        severity=Severity.WARNING,
        judge=_empty,
        means="audit.toml sets a budget for a package, pattern or layer that the target does not hold",
        matters="the budget guards nothing: a name has changed, or is mistyped",
        mend="correct the name in audit.toml, or remove the budget",
        source="audit.toml, [[budget]]",
    ),
)
