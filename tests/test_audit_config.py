"""audit.toml: what it may say, and what is said of one that makes no sense."""

import datetime as dt
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.config import BudgetRow, Config, RuleRow, Waiver, byte_count, load_config, parse_config
from audit.errors import ConfigError
from audit.rules import THRESHOLDS

TODAY = dt.date(2026, 11, 22)

WHOLE = """
platforms = ["openwhisk", "aws-lambda-zip"]
parameters = "700 kB"

[rule.near-limit]
severity = "error"
share = 0.8

[rule.duplicate-content]
severity = "off"

[[budget]]
whole = true
at_most = "60 MiB"
reason = "cold starts"

[[budget]]
whole = true
at_most = "80 %"
of = "aws-lambda-zip.unpacked"
reason = "room for a layer"

[[budget]]
package = "num*"
at_most = "25 %"
counts = "packed"
reason = "no OpenBLAS"

[[budget]]
layer = 2
at_most = 1_000
reason = "only code"

[[budget]]
files = "**/*.so"
at_most = "1.5 kB"
reason = "x"

[[waiver]]
rule = "duplicate-content"
subject = "/usr/**"
reason = "the base's own"
until = 2027-03-31
"""


def parsed(text: str) -> Config:
    return parse_config(text, "audit.toml", THRESHOLDS, TODAY)


def test_everything_that_a_file_says_becomes_a_value() -> None:
    assert parsed(WHOLE) == Config(
        platforms=("openwhisk", "aws-lambda-zip"),
        parameters=700_000,
        rules={
            "near-limit": RuleRow(severity="error", thresholds={"share": 0.8}),
            "duplicate-content": RuleRow(severity="off"),
        },
        budgets=(
            BudgetRow(scope="whole", bytes=60 << 20, reason="cold starts"),
            BudgetRow(scope="whole", share=0.8, base="aws-lambda-zip.unpacked", reason="room for a layer"),
            BudgetRow(scope="package", name="num*", share=0.25, packed=True, reason="no OpenBLAS"),
            BudgetRow(scope="layer", name="2", bytes=1000, reason="only code"),
            BudgetRow(scope="files", name="**/*.so", bytes=1500, reason="x"),
        ),
        waivers=(
            Waiver(
                rule="duplicate-content",
                subject="/usr/**",
                reason="the base's own",
                until=dt.date(2027, 3, 31),
            ),
        ),
        today=TODAY,
    )


def test_an_empty_file_changes_nothing() -> None:
    assert parsed("") == Config(today=TODAY)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("12", 12),
        ("1_000 B", 1000),
        ("48 MiB", 50_331_648),
        ("50MB", 50_000_000),
        ("1.5 GiB", 1_610_612_736),
        ("2 kB", 2000),
        ("2 KiB", 2048),
        ("2 MIB", None),
        ("25 %", None),
        ("-1", None),
        ("", None),
        ("9" * 400, None),
    ],
)
def test_bytes_are_written_with_decimal_or_binary_units(text: str, size: int | None) -> None:
    assert byte_count(text) == size


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[", "is no TOML"),
        ("budgets = []", "unknown key 'budgets'; known are platforms, parameters, rule, budget, waiver"),
        ('platforms = "openwhisk"', "platforms is a list of names"),
        ("platforms = [1]", "platforms is a list of names"),
        ("parameters = -1", "parameters is a number of bytes"),
        ("rule = 1", "write the settings of a rule as"),
        ("[rule]\nnear-limit = 1", r"\[rule.near-limit\] is a table"),
        ("[rule.near]", "there is no rule 'near'"),
        ('[rule.near-limit]\nseverity = "bad"', "choose one of off, note, warning, error"),
        ("[rule.near-limit]\nbytes = 1", "unknown key 'bytes'; known are severity, share"),
        ('[rule.near-limit]\nshare = "x"', "a number from 0 up"),
        ("[rule.near-limit]\nshare = nan", "a number from 0 up"),
        ("[rule.near-limit]\nshare = inf", "a number from 0 up"),
        ("[rule.near-limit]\nshare = true", "a number from 0 up"),
        ("budget = 1", "under \\[\\[budget\\]\\]"),
        ('[[budget]]\nat_most = "1"\nreason = "x"', "number 1: say of what, by exactly one of"),
        ('[[budget]]\nwhole = true\nlayer = 1\nat_most = 1\nreason = "x"', "exactly one of"),
        ('[[budget]]\nwhole = false\nat_most = 1\nreason = "x"', "write whole = true"),
        ('[[budget]]\nwhole = true\nat_most = "much"\nreason = "x"', "at_most is 'much'"),
        ('[[budget]]\nwhole = true\nreason = "x"', "at_most is ''"),
        ("[[budget]]\nwhole = true\nat_most = 1", "give a reason"),
        ('[[budget]]\nwhole = true\nat_most = 1\nreason = " "', "give a reason"),
        ('[[budget]]\nwhole = true\nat_most = "5 %"\nreason = "x"', "needs `of`"),
        ('[[budget]]\nlayer = 0\nat_most = 1\nreason = "x"', "a number from 1"),
        ('[[budget]]\nwhole = true\nat_most = 1\nof = "a.b"\nreason = "x"', "`of` needs a share"),
        ('[[budget]]\nfiles = "[z-a]"\nat_most = 1\nreason = "x"', "is no glob"),
        ('[[budget]]\nwhole = true\nat_most = 1\ncounts = "x"\nreason = "x"', "unpacked or packed"),
        ('[[waiver]]\nrule = "x"', "there is no rule 'x'"),
        ('[[waiver]]\nrule = "near-limit"\nreason = "x"', "name its last day"),
        ('[[waiver]]\nrule = "near-limit"\nuntil = 2027-01-01T00:00:00', "name its last day"),
        ('[[waiver]]\nrule = "near-limit"\nuntil = 2027-01-01', "give a reason"),
        ('[[waiver]]\nrule = "near-limit"\nsubject = 1\nuntil = 2027-01-01', "a glob is needed"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parsed(text)


def test_a_file_is_read_from_its_path(tmp_path: Path) -> None:
    path = tmp_path / "audit.toml"
    path.write_text(WHOLE)
    assert load_config(path, THRESHOLDS, TODAY) == parsed(WHOLE)


def test_a_file_that_cannot_be_read_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"# \xff")
    with pytest.raises(ConfigError, match="no UTF-8"):
        load_config(tmp_path / "latin", THRESHOLDS, TODAY)
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "none", THRESHOLDS, TODAY)


HEADERS = ("[[budget]]", "[[waiver]]", "[rule.near-limit]", "[rule]", "[budget]", "[platforms]", "[[rule]]")
KEYS = ("platforms", "parameters", "whole", "package", "files", "layer", "at_most", "of", "counts", "reason")
MORE_KEYS = ("rule", "subject", "until", "severity", "share", "budget", "waiver")
VALUES = (
    "true",
    "-1",
    "9" * 30,
    "nan",
    "inf",
    "0.5",
    '"x"',
    '"5 %"',
    '"near-limit"',
    '"[z-a]"',
    '"packed"',
    "[]",
)
MORE_VALUES = (
    "[1]",
    "{}",
    "{x = 1}",
    "[{}]",
    "2027-03-31",
    "2027-03-31T00:00:00Z",
    "12:00:00",
    '""',
    '"openwhisk.zip"',
)
LINES = st.one_of(
    st.sampled_from(HEADERS),
    st.builds("{} = {}".format, st.sampled_from(KEYS + MORE_KEYS), st.sampled_from(VALUES + MORE_VALUES)),
)


@given(st.lists(LINES, max_size=6))
def test_whatever_a_file_says_it_is_a_value_or_refused_in_words(lines: list[str]) -> None:
    with suppress(ConfigError):
        parsed("\n".join(lines))


@given(st.integers(0, len(WHOLE)), st.text(max_size=3))
def test_a_file_with_a_slip_of_the_pen_is_a_value_or_refused_in_words(place: int, slip: str) -> None:
    with suppress(ConfigError):
        parsed(WHOLE[:place] + slip + WHOLE[place + len(slip) :])
