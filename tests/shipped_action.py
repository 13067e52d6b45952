"""Finds the action's native library and model, for tests that need the real ones; without them those are
skipped.

A folder with libunder48.so, model.tflite, model.json and labels.txt in UNDER48_TEST_ACTION, else the newest
zip that `invoke package` made in build/.
"""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PARTS = ("libunder48.so", "model.tflite", "model.json", "labels.txt")


def lay_out_action(folder: Path) -> Path:
    """Put the repository's code and the real native parts together in `folder`, as they are shipped."""
    source = os.environ.get("UNDER48_TEST_ACTION")
    if source:
        for part in PARTS:
            shutil.copy(Path(source) / part, folder)
    else:
        zips = sorted(ROOT.glob("build/classify-*.zip"), key=lambda path: path.stat().st_mtime)
        if not zips:
            pytest.skip("no native library: run `./inv package`, or set UNDER48_TEST_ACTION")
        with zipfile.ZipFile(zips[-1]) as archive:
            for part in PARTS:
                archive.extract(part, folder)
    shutil.copy(ROOT / "action" / "__main__.py", folder)
    shutil.copytree(ROOT / "action" / "classifier", folder / "classifier")
    return folder
