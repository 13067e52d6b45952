"""Markdown: the verdict first, tables that no name from a stranger can break."""

import re

import pytest

import audit
from audit.markdown import _code, _plain
from tests.audited import bad, good


def test_the_verdict_comes_first() -> None:
    assert audit.as_markdown(*bad()).startswith("## ❌ Audit of ``")
    assert audit.as_markdown(*good()).startswith("## ✅ Audit of `action.zip`")


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    before, now = audit.as_json(*good()), audit.as_json(*bad())
    text = audit.as_markdown(*bad(), changes=audit.compare(before, now))
    tables = re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE)
    assert len(tables) >= 4
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("text", "code"), [("a", "`a`"), ("a`b", "`` a`b ``"), ("a``b`", "``` a``b` ```"), ("a|b", "`a\\|b`")]
)
def test_a_name_stays_within_its_code_span(text: str, code: str) -> None:
    assert _code(text, 99) == code


def test_text_holds_no_markup() -> None:
    assert _plain("<b>*a*_b_|[x](y)@all\x1b") == r"\<b\>\*a\*\_b\_\|\[x\](y)\@all\\x1b"


def test_what_did_not_change_is_said_in_a_line() -> None:
    document = audit.as_json(*good())
    assert "Nothing changed." in audit.as_markdown(*good(), changes=audit.compare(document, document))
