"""What `./inv test` sets up, and what it runs."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from cli import tests
from cli.pipeline import ROOT, Pipeline
from cli.supply import Supply
from model_fetch import Entry

LOCK = "requirements-none.lock"


@pytest.mark.parametrize(
    ("path", "needed"),
    [
        ("tests/test_words.py", False),
        ("tests/test_words.py::test_it", False),
        ("tests/integration/test_image.py", True),
        ("tests/integration/test_image.py::test_the_image_is_small", True),
        ("tests/integration", True),
        ("tests", True),
        (".", True),
    ],
)
def test_an_engine_is_brought_up_for_tests_that_need_one(
    monkeypatch: pytest.MonkeyPatch, path: str, *, needed: bool
) -> None:
    monkeypatch.chdir(ROOT)
    assert tests._with_engine(path) is needed


@pytest.mark.parametrize("missing", [(), ("mobilenet_v1_0.25_224", "lion.jpg")])
def test_what_cannot_be_had_is_left_out_and_the_other_models_are_built(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], missing: tuple[str, ...]
) -> None:
    built: list[str] = []

    def find(supply: Supply, entry: Entry, _shown: object) -> tuple[Path, ...] | None:
        if entry.name in missing:
            supply.given_up.add("host.example")
        return None if entry.name in missing else (Path(entry.name),)

    def build(pipeline: Pipeline) -> None:
        built.append(pipeline.settings.model)

    monkeypatch.setattr(Supply, "find", find)
    for step, work in {"engine": None, "base": None, "image": build, "package": build}.items():
        monkeypatch.setattr(Pipeline, step, None if work is None else property(work))
    for step in ("_install_browser", "install", "install_auditwheel"):
        monkeypatch.setattr(tests, step, lambda *_, **__: None)
    tests.make_ready()
    expected = [name for name in tests.tflite_models(Pipeline(tests.settings())) if name not in missing]
    assert built == expected
    said = capsys.readouterr().err
    assert ("host.example cannot be reached" in said) is bool(missing)
    assert f"{15 - len(missing[1:])} of 15, verified" in said


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a virtual environment that has this one's Python and pip; nothing can be downloaded."""
    monkeypatch.setattr(tests, "ROOT", tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    program = tmp_path / ".venv/bin/python"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    program.chmod(0o755)
    return tmp_path / ".venv"


def test_a_lock_is_installed_once_and_again_when_it_changes(environment: Path, tmp_path: Path) -> None:
    lock = tmp_path / LOCK
    made: list[Path] = []
    for content in ("# nothing\n", "# nothing\n", "# nothing more\n", "# nothing more\n"):
        lock.write_text(content)
        tests.install("tests", lock, environment, make=made.append)
    assert made == [environment] * 2


def test_what_cannot_be_installed_is_said_and_tried_again(environment: Path, tmp_path: Path) -> None:
    lock = tmp_path / LOCK
    made: list[Path] = []
    lock.write_text(f"under48-none==1.0 --hash=sha256:{'0' * 64}\n")
    for _ in range(2):
        with pytest.raises(tests.NotReady, match=rf"{LOCK} could not be(.|\n)*under48-none==1\.0"):
            tests.install("tests", lock, environment, make=made.append)
    assert len(made) == 2


@pytest.mark.parametrize(
    ("check", "failing", "status", "runs"),
    [
        (True, (), 0, ["ruff check", "ruff format", "mypy", "pytest"]),
        (False, (), 0, ["pytest"]),
        (True, ("mypy",), 1, ["ruff check", "ruff format", "mypy", "pytest"]),
        (True, ("ruff check", "pytest"), 1, ["ruff check", "ruff format", "mypy", "pytest"]),
        (False, ("pytest",), 1, ["pytest"]),
    ],
)
def test_all_is_run_and_the_first_failure_counts(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    failing: Sequence[str],
    runs: list[str],
    status: int,
    *,
    check: bool,
) -> None:
    # In place of the tools: a Python that writes down how it was called.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNDER48_MIRRORS", "m;https://mirror/x")
    log = tmp_path / "log"
    program = tmp_path / "python"
    program.write_text(
        f'#!/bin/sh\necho "$*" >>{log}\necho "$UNDER48_MIRRORS" >{tmp_path}/mirrors\necho done\n'
        + "".join(f'case "$*" in "-m {each}"*) exit 1;; esac\n' for each in failing)
    )
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(tests, "install", lambda *_: None)
    assert tests.run([], unit=True, check=check) == status
    called = [line.removeprefix("-m ") for line in log.read_text().splitlines()]
    assert [next(run for run in runs if line.startswith(run)) for line in called] == runs
    assert called[-1].endswith(f"--ignore {os.fspath(tests.INTEGRATION)}")
    # The tests run in the project's folder, so what is named from here is passed on as a whole path.
    assert (tmp_path / "mirrors").read_text() == f"{tmp_path}/m;https://mirror/x\n"
