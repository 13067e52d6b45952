from pathlib import Path

import pytest

from images.sbom.debian import debian_parts
from images.sbom.part import Part
from tests.small_image import small_image


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Part]:
    found = debian_parts(small_image(tmp_path), {"libx": ["/of-a/libx.so"]})
    return {part.name: part for part in found}


def test_every_package_of_the_status_is_a_part_and_so_is_the_system(parts: dict[str, Part]) -> None:
    assert {name: part.version for name, part in parts.items()} == {
        "debian": "12",
        "libx": "1:1.0-1+b2",
        "liby1": "2~rc1",
        "base-files": "12.4+deb12u15",
    }
    assert parts["debian"].kind == "operating-system"


@pytest.mark.parametrize(
    ("name", "purl"),
    [
        # another source package, of another version; of the same version; none
        ("libx", "pkg:deb/debian/libx@1:1.0-1%2Bb2?arch=amd64&distro=debian-12&upstream=x-src%401:1.0-1"),
        ("liby1", "pkg:deb/debian/liby1@2~rc1?arch=all&distro=debian-12&upstream=y"),
        ("base-files", "pkg:deb/debian/base-files@12.4%2Bdeb12u15?arch=amd64&distro=debian-12"),
    ],
)
def test_its_purl_names_architecture_release_and_source_package(
    parts: dict[str, Part], name: str, purl: str
) -> None:
    assert str(parts[name].purl) == purl


def test_the_source_package_is_also_named_as_trivy_looks_for_it(parts: dict[str, Part]) -> None:
    assert parts["libx"].properties == {
        "aquasecurity:trivy:PkgType": "debian",
        "aquasecurity:trivy:SrcName": "x-src",
        "aquasecurity:trivy:SrcVersion": "1:1.0-1",
    }


def test_it_needs_those_of_its_dependencies_that_are_in_the_image(parts: dict[str, Part]) -> None:
    assert parts["libx"].needs == (parts["base-files"].ref, parts["liby1"].ref)
    assert parts["liby1"].needs == ()


def test_its_licence_is_that_of_its_copyright_file_and_the_common_texts_it_refers_to_are_named(
    parts: dict[str, Part],
) -> None:
    assert (parts["libx"].licence, parts["libx"].licence_texts) == (
        "GPL-2.0-or-later",
        ("/usr/share/doc/libx/copyright", "/usr/share/common-licenses/GPL-2"),
    )
    assert parts["liby1"].licence == "LicenseRef-Debian-y"
    assert parts["base-files"].licence_texts == ("/usr/share/doc/base-files/copyright",), (
        "there is no GPL here"
    )


def test_its_native_files_are_named(parts: dict[str, Part]) -> None:
    assert (parts["libx"].files, parts["liby1"].files) == (("/of-a/libx.so",), ())
