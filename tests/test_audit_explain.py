"""What `--explain` says: every rule answers, in 100 columns, and a misspelt one gets a hint."""

import pytest

import audit
from audit.errors import AuditError


@pytest.mark.parametrize("rule", audit.RULES, ids=lambda rule: rule.key)
def test_every_rule_says_what_why_how_and_by_whose_word(rule: audit.Rule) -> None:
    text = audit.explain(rule.key, audit.RULES)
    assert text.startswith(f"{rule.key}\n  severity")
    for part in ("what it means", "why it matters", "how to mend it", "source"):
        assert f"\n  {part}" in text
    assert max(map(len, text.splitlines())) <= 100


def test_all_explains_every_rule() -> None:
    assert audit.explain("all", audit.RULES).count("\n  severity") == len(audit.RULES)


def test_a_misspelt_rule_is_refused_with_the_nearest_and_the_list() -> None:
    with pytest.raises(AuditError, match="Did you mean over-limit") as caught:
        audit.explain("overlimit", audit.RULES)
    assert all(rule.key in str(caught.value).replace("-\n", "-") for rule in audit.RULES)
