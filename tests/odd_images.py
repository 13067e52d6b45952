"""Broken and unusual pictures from the test suites of image libraries, which are no part of this project.

odd_images.toml lists them: `url` and `path` make the address, `expected` says what becomes of a picture, in the words
of tests/variants.py; "either" is left out. UNDER48_ODD_IMAGES may name a folder that holds them by name; without it
they are fetched as the catalogue's files are.
"""

import hashlib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.supply import Supply
from model_fetch import Asset, Sample
from tests.variants import Expected

FOLDER = "UNDER48_ODD_IMAGES"


@dataclass(frozen=True, kw_only=True, slots=True)
class OddImage:
    """One picture of the table."""

    sample: Sample
    expected: Expected

    def read(self, supply: Supply) -> bytes | None:
        """The file's content; None where it cannot be had."""
        folder = os.environ.get(FOLDER)
        if not folder:
            files = supply.find(self.sample)
            return files[0].read_bytes() if files else None
        content = (Path(folder) / self.sample.name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == self.sample.asset.sha256, self.sample.name
        return content


def _odd_image(source: Mapping[str, Any], file: Mapping[str, Any]) -> OddImage:
    asset = Asset(
        url=source["url"] + file["path"],
        sha256=file["sha256"],
        bytes=file["bytes"],
        licence=source["licence"],
    )
    sample = Sample(name=asset.name, asset=asset, accepted=())
    return OddImage(sample=sample, expected=file.get("expected", "either"))


_SOURCES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())["source"]
_ROWS = [_odd_image(source, file) for source in _SOURCES for file in source["files"]]

ODD_IMAGES = {row.sample.name: row for row in _ROWS}
