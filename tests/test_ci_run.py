"""What .ci/run makes of the folders next to a checkout."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci/run"
SAID = "import os; print([os.environ.get('UNDER48_' + name) for name in ('MIRRORS', 'ODD_IMAGES')])"


@pytest.mark.parametrize(
    ("folders", "given", "said"),
    [
        ((), {}, [None, None]),
        (("mirror", "odd-images"), {}, ["{}/mirror", "{}/odd-images"]),
        (("mirror",), {}, ["{}/mirror", None]),
        (("mirror", "odd-images"), {"UNDER48_MIRRORS": "/m"}, ["/m", "{}/odd-images"]),
        (("mirror",), {"UNDER48_MIRRORS": ""}, ["", None]),
    ],
)
def test_ci_takes_the_folders_that_are_there_unless_the_variables_are_set(
    tmp_path: Path, folders: tuple[str, ...], given: dict[str, str], said: list[str | None]
) -> None:
    checkout, aside = tmp_path / "checkout", tmp_path / "shared"
    (checkout / ".ci").mkdir(parents=True)
    (checkout / ".ci/run").write_bytes(SCRIPT.read_bytes())
    program = checkout / "inv"
    program.write_text(f'#!/bin/sh\n[ "$*" = test ] && exec python3 -c "{SAID}"\n')
    program.chmod(0o755)
    for folder in folders:
        (aside / folder).mkdir(parents=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UNDER48_")}
    done = subprocess.run(
        ["bash", checkout / ".ci/run"], env=environment | given, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == repr([each and each.format(aside) for each in said])
