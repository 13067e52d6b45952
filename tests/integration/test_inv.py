"""`./inv` in a checkout of its own: makes the environment once, again when the lock changes, and runs Invoke in it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cli.pipeline import ROOT

TASKS = """
import os
from invoke import task

@task
def where(c):
    print(os.getcwd())
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout with a space"
    folder.mkdir()
    shutil.copy(ROOT / "inv", folder)
    lock = (ROOT / "requirements.lock").read_text()
    (folder / "requirements.lock").write_text(re.findall(r"^invoke==(?:.*\\\n)*.*\n", lock, re.MULTILINE)[0])
    (folder / "tasks.py").write_text(TASKS)
    return folder


def inv(checkout: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([checkout / "inv", *words], cwd=cwd, capture_output=True, text=True, check=False)


def test_the_environment_is_made_once_and_again_when_the_lock_changes(checkout: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "invoke").mkdir(parents=True)  # no module is taken from where the command is given
    first = inv(checkout, "where", cwd=elsewhere)
    assert (first.returncode, first.stdout) == (0, f"{elsewhere}\n")
    assert "making .venv with" in first.stderr

    second = inv(checkout, "where", cwd=elsewhere)
    assert (second.returncode, second.stdout, second.stderr) == (0, f"{elsewhere}\n", "")

    (checkout / "requirements.lock").open("a").write("# another one\n")
    third = inv(checkout, "where", cwd=elsewhere)
    assert "making .venv with" in third.stderr
    assert third.returncode == 0


def test_an_installation_that_fails_is_made_again(checkout: Path) -> None:
    good = (checkout / "requirements.lock").read_text()
    (checkout / "requirements.lock").write_text(re.sub("sha256:[0-9a-f]{64}", "sha256:" + "0" * 64, good))
    failed = inv(checkout, "where", cwd=checkout)
    assert failed.returncode == 1
    assert "installing requirements.lock into .venv failed" in failed.stderr
    (checkout / "requirements.lock").write_text(good)
    assert inv(checkout, "where", cwd=checkout).returncode == 0


def test_without_a_python_that_is_new_enough_it_says_so(checkout: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "dirname", "cat", "cksum", "flock", "id"):
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    done = subprocess.run(
        [checkout / "inv", "where"],
        env={**os.environ, "PATH": str(tools), "PYTHON": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "under48 needs Python 3.11 or newer and found none" in done.stderr
