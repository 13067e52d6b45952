"""What tests/conftest.py makes of tests that are skipped."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

IN_TEST = "def test_it(): pytest.skip('no engine here')"
OF_MODULE = "pytest.skip('no engine here', allow_module_level=True)"
BY_MARK = "@pytest.mark.skipif(True, reason={!r})\ndef test_it(): pass"
EXPECTED = "@pytest.mark.xfail\ndef test_it(): assert False"
OUT_OF_REACH = "the {} {} is not bundled, and {} cannot be reached: set UNDER48_MIRRORS"
LACKING = BY_MARK.format(OUT_OF_REACH.format("model", "m", "host.example"))
CI, MIRRORS = "CI", "UNDER48_MIRRORS"


def outcome(tmp_path: Path, body: str, *variables: str) -> tuple[int, str]:
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "test_it.py").write_text(f"import pytest\n{body}\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path],
        cwd=tmp_path,
        env={**os.environ, CI: "", MIRRORS: "", **dict.fromkeys(variables, "true")},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("body", "variables", "status", "summary"),
    [
        (IN_TEST, [], 0, "1 skipped"),
        (IN_TEST, [CI], 1, "1 failed"),
        (IN_TEST, [MIRRORS], 1, "1 failed"),
        (OF_MODULE, [], 5, "1 skipped"),
        (OF_MODULE, [CI], 2, "1 error"),
        (BY_MARK.format("no engine here"), [], 0, "1 skipped"),
        (BY_MARK.format("no engine here"), [CI], 1, "1 error"),
        (BY_MARK.format("starts a second dockerd as root"), [CI, MIRRORS], 0, "1 skipped"),
        (LACKING, [], 0, "1 skipped"),
        (LACKING, [CI], 0, "1 skipped"),
        (LACKING, [MIRRORS], 1, "1 error"),
        (LACKING, [CI, MIRRORS], 1, "1 error"),
        (EXPECTED, [CI], 0, "1 xfailed"),
    ],
)
def test_a_skip_is_a_failure_where_everything_is_to_be_there_but_where_no_set_up_could_help(
    tmp_path: Path, body: str, variables: list[str], status: int, summary: str
) -> None:
    code, said = outcome(tmp_path, body, *variables)
    assert (code, summary in said) == (status, True), said
    assert ("is a failure where" in said) is (status in (1, 2))


MANY = f"""
@pytest.mark.parametrize("case", [
    *[("model", f"m{{n}}", "one.example") for n in (1, 1, 1, 2)], ("picture", "p", "two.example"),
])
def test_lacking(case): pytest.skip({OUT_OF_REACH!r}.format(*case))
@pytest.mark.parametrize("n", [1, 2])
def test_other(n): pytest.skip("no Debian")
def test_good(): pass
"""
LACK = "are not bundled, and one.example, two.example cannot be reached: set UNDER48_MIRRORS"


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (
            MANY,
            f"skipped: 5 tests of 2 models and 1 picture that {LACK}; 2 tests (no Debian)",
        ),
        (IN_TEST, "skipped: 1 test (no engine here)"),
        ("def test_good(): pass", None),
        (EXPECTED, None),
    ],
)
def test_the_end_says_in_one_line_what_was_skipped_and_why(
    tmp_path: Path, body: str, line: str | None
) -> None:
    _, said = outcome(tmp_path, body)
    assert [each for each in said.splitlines() if each.startswith("skipped:")] == ([line] if line else [])
