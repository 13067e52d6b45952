"""The conformance table itself: names are unique, proofs exist, and a container that answers otherwise is found out."""

from pathlib import Path

import pytest

from images.activation import SENTINEL
from tests.integration.conformance.checklist import CHECKLIST
from tests.integration.conformance.steps import EMPTY, OK, error, has, init, lines, ok, run
from tests.integration.conformance.table import CASES, VECTORS, checklist, markdown
from tests.integration.conformance.vector import Logs, Outcome, Reply, Vector, judge

ROOT = Path(__file__).parents[1]
VECTOR = Vector(
    id="13a-0",
    name="says hello",
    steps=(init(""), run({}, ok({"a": 1}))),
    logs=Logs(sentinels=1, out=lines("hello"), err=EMPTY),
)
GOOD = (Reply(status=200, body={"ok": True}), Reply(status=200, body={"a": 1}))
OUT, ERR = f"hello\n{SENTINEL}\n", f"{SENTINEL}\n"


def test_every_vector_has_a_name_of_its_own() -> None:
    assert len({vector.id for vector in VECTORS}) == len(VECTORS)
    assert {vector for vector, _ in CASES} == {vector.id for vector in VECTORS}


@pytest.mark.parametrize("line", CHECKLIST)
def test_every_line_of_the_checklist_has_proofs_that_exist(line: str) -> None:
    for proof in CHECKLIST[line]:
        path, _, test = proof.partition("::")
        if test:
            assert f"\ndef {test}(" in (ROOT / path).read_text(), proof
        else:
            assert (proof, False) in CASES, proof


def test_what_is_expected_is_no_problem() -> None:
    outcome = judge(VECTOR, GOOD, OUT, ERR)
    assert outcome.problems == ()
    assert outcome.got == '200 {"ok":true}; 200 {"a":1}; S=1; out: hello; err: (empty)' == VECTOR.expected


@pytest.mark.parametrize(
    ("replies", "out", "err", "problem"),
    [
        (GOOD[:1], OUT, ERR, "expected 2 replies, got 1"),
        ((GOOD[0], Reply(status=502, body={"a": 1})), OUT, ERR, "got 502"),
        ((GOOD[0], Reply(status=200, body={"a": True})), OUT, ERR, 'got 200 {"a":true}'),
        ((GOOD[0], Reply(status=None, body="no answer")), OUT, ERR, "got - no answer"),
        (GOOD, "hello\n", ERR, "got [0, 1]"),
        (GOOD, OUT, ERR * 2, "got [1, 2]"),
        (GOOD, SENTINEL, ERR, "stdout: expected hello, got ''"),
        (GOOD, OUT, f"oops\n{ERR}", "got 'oops'"),
    ],
)
def test_what_is_not_expected_is_a_problem(
    replies: tuple[Reply, ...], out: str, err: str, problem: str
) -> None:
    (found,) = judge(VECTOR, replies, out, err).problems
    assert problem in found


@pytest.mark.parametrize(
    ("body", "holds"),
    [
        ({"error": "it is why"}, True),
        ({"error": "it"}, False),
        ({"error": "why", "more": 1}, False),
        ({"error": ["why"]}, False),
        ({}, False),
        ("why", False),
    ],
)
def test_an_error_is_an_object_with_a_text_and_nothing_else(body: object, *, holds: bool) -> None:
    assert error("why").holds(body) is holds


def test_the_table_shows_failures_and_counts() -> None:
    outcomes = [
        (("13a-1", False), Outcome(got="a|b", problems=())),
        (("13a-2", True), Outcome(got="", problems=("bad",))),
    ]
    shown = markdown(outcomes)
    assert "As the platform starts it: 1 of 1 passed" in shown
    assert "no capabilities: 0 of 1 passed" in shown
    assert "a&#124;b | yes |" in shown
    assert "**no**: bad |" in shown
    assert OK[1].words in shown
    assert has("x", "y").words == "has 'x' and 'y'"


def test_the_checklist_says_what_holds() -> None:
    passed = {vector.id for vector in VECTORS} - {"x-code-2"}
    rows = [line for line in checklist(passed).splitlines() if line.endswith(("yes |", "no** |", "passes |"))]
    assert len(rows) == len(CHECKLIST)
    assert [row for row in rows if "**no**" in row] == [row for row in rows if "x-code-2" in row]
    assert [row for row in rows if "SIGTERM" in row and row.endswith("passes |")]
