import hashlib
import tomllib
from pathlib import Path

import pytest

from images.build import RECIPE
from images.sbom.licences import TABLES, unknown_licences
from images.sbom.native import LIBRARY, native_parts
from images.sbom.part import Part
from tests.small_image import NATIVE, small_image

ROWS = tomllib.loads((RECIPE / "sources.toml").read_text())["source"]


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Part]:
    return {part.ref: part for part in native_parts(small_image(tmp_path), ROWS, "0.1.0", "amd64")}


def test_the_library_has_its_files_digest_and_needs_all_that_is_compiled_in(parts: dict[str, Part]) -> None:
    library = parts["under48:library"]
    assert (library.files, library.sha256) == ((LIBRARY,), hashlib.sha256(NATIVE).hexdigest())
    assert set(library.needs) == parts.keys() - {library.ref}


def test_the_tables_name_the_same_sources() -> None:
    assert {row["name"] for row in ROWS} == set(TABLES["source"])


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.get("arch", "amd64") == "amd64"], ids=lambda row: row["name"]
)
def test_a_source_is_listed_as_its_row_says_unless_nothing_of_it_is_used(
    parts: dict[str, Part], row: dict[str, str]
) -> None:
    part = parts.get(f"source:{row['name']}")
    if TABLES["source"][row["name"]].get("unused"):
        assert part is None
        return
    assert part
    assert (part.name, part.version, part.licence) == (row["title"], row["version"], row["licence"])
    assert part.source
    assert (part.source.url, part.source.sha256) == (f"pool/main/{row['pool']}", row["sha256"])
    assert part.purl
    assert part.purl.qualifiers == {"checksum": f"sha256:{row['sha256']}"}
    assert part.purl.version
    assert part.purl.version.removeprefix("v") in row["version"]
    assert unknown_licences(part.licence) == set()


def test_the_compilers_libraries_have_the_version_that_it_wrote_into_the_file(parts: dict[str, Part]) -> None:
    assert str(parts["source:libstdc++"].purl) == (
        "pkg:deb/debian/libstdc%2B%2B-12-dev@12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12&upstream=gcc-12"
    )
    assert parts["source:libgcc"].version == "12.2.0-14+deb12u1"


def test_a_row_of_another_architecture_is_left_out(tmp_path: Path) -> None:
    arm = native_parts(small_image(tmp_path), ROWS, "0.1.0", "arm64")
    ruy = [part.source.url for part in arm if part.name == "ruy" and part.source]
    assert ruy == [f"pool/main/{row['pool']}" for row in ROWS if row.get("arch") == "arm64"]
