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


@pytest.mark.parametrize(
    ("body", "ci", "status", "summary"),
    [
        (IN_TEST, "", 0, "1 skipped"),
        (IN_TEST, "true", 1, "1 failed"),
        (OF_MODULE, "", 5, "1 skipped"),
        (OF_MODULE, "true", 2, "1 error"),
        (BY_MARK.format("no engine here"), "", 0, "1 skipped"),
        (BY_MARK.format("no engine here"), "true", 1, "1 error"),
        (BY_MARK.format("starts a second dockerd as root"), "true", 0, "1 skipped"),
        (EXPECTED, "true", 0, "1 xfailed"),
    ],
)
def test_in_ci_a_skip_is_a_failure_but_where_no_set_up_could_help(
    tmp_path: Path, body: str, ci: str, status: int, summary: str
) -> None:
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "test_it.py").write_text(f"import pytest\n{body}\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", tmp_path],
        cwd=tmp_path,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, summary in done.stdout) == (status, True), done.stdout
    assert ("in CI" in done.stdout) is (status in (1, 2))
