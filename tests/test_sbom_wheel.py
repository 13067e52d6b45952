from pathlib import Path

import pytest

from images.sbom.part import Part
from images.sbom.wheel import wheel_parts
from tests.small_image import small_image

SITE = "/under48/action"
LIBS = (
    f"{SITE}/pillow.libs/libtiff-20b7e810.so.6.3.0",
    f"{SITE}/pillow.libs/libzstd-40ad5e7e.so.1.5.7",
    f"{SITE}/pillow.libs/libnovel-00000001.so.3",
)


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Part]:
    found = wheel_parts(small_image(tmp_path), {"pillow": [f"{SITE}/PIL/_imaging.so", *LIBS]})
    return {part.name: part for part in found}


def test_a_distribution_is_what_its_metadata_says_and_needs_what_it_brings(parts: dict[str, Part]) -> None:
    pillow = parts["pillow"]
    assert (str(pillow.purl), pillow.version, pillow.licence) == (
        "pkg:pypi/pillow@13.0.0",
        "13.0.0",
        "MIT-CMU",
    )
    assert pillow.files == (f"{SITE}/PIL/_imaging.so",)
    assert set(pillow.needs) == {part.ref for name, part in parts.items() if name != "pillow"}


@pytest.mark.parametrize(
    ("name", "version", "purl", "file"),
    [
        ("libtiff", "4.7.2", "pkg:gitlab/libtiff/libtiff@v4.7.2", LIBS[0]),  # its wheel says it
        ("Zstandard", "1.5.7", "pkg:github/facebook/zstd@v1.5.7", LIBS[1]),  # its file's name says it
    ],
)
def test_a_bundled_library_has_its_own_version_and_not_that_of_its_interface(
    parts: dict[str, Part], name: str, version: str, purl: str, file: str
) -> None:
    part = parts[name]
    assert (part.version, str(part.purl), part.files) == (version, purl, (file,))
    assert f":{version}:" in part.cpe


def test_a_library_that_the_table_does_not_know_is_a_part_all_the_same(parts: dict[str, Part]) -> None:
    novel = parts["libnovel"]
    assert (novel.version, novel.purl, novel.licence) == ("3", None, "LicenseRef-libnovel")


def test_the_texts_of_their_licences_are_the_wheels(parts: dict[str, Part]) -> None:
    assert {part.licence_texts for part in parts.values()} == {
        (f"{SITE}/pillow-13.0.0.dist-info/licenses/LICENSE",)
    }
