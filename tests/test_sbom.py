from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from images.sbom import Bill, Subject, bill_of
from images.sbom.licences import unknown_licences
from tests.small_catalog import small_catalog
from tests.small_image import small_image


@pytest.fixture
def bill(tmp_path: Path) -> Bill:
    catalog = small_catalog()
    subject = Subject(
        tag="under48/classify:small-amd64",
        model=catalog.models[0],
        labels=catalog.labels[0],
        architecture="amd64",
        made_at=1,
    )
    return bill_of(small_image(tmp_path), subject)


def test_it_lists_the_model_and_its_labels_with_their_digests_and_where_they_come_from(bill: Bill) -> None:
    catalog = small_catalog()
    wanted = {"small": catalog.models[0].files[0], "words": catalog.labels[0].asset}
    for name, asset in wanted.items():
        (part,) = (part for part in bill.parts if part.name == name)
        assert part.source
        assert (part.sha256, part.source.url, part.licence) == (asset.sha256, asset.url, asset.licence)


def test_what_the_loader_finds_for_a_library_is_among_its_needs(bill: Bill) -> None:
    needs = {part.ref: part.needs for part in bill.parts}
    assert "deb:libx" in needs["under48:library"], "its NEEDED libx.so leads to that package's file"
    assert not any(ref in refs for ref, refs in needs.items())
    assert "deb:libx" not in needs["source:tensorflow"], (
        "which is inside the library, and loads nothing itself"
    )


def test_each_part_has_a_reference_of_its_own(bill: Bill) -> None:
    refs = [part.ref for part in bill.parts]
    assert len(refs) == len(set(refs))


def test_the_licence_of_the_image_is_all_that_its_parts_name(bill: Bill) -> None:
    assert unknown_licences(bill.licence) == set()
    terms = bill.licence.split(" AND ")
    for term in ("Apache-2.0", "CC0-1.0", "GPL-2.0-or-later", "IJG", "LicenseRef-Debian-y", "MIT-CMU"):
        assert terms.count(term) == 1


def test_the_versions_are_those_of_what_is_in_the_image(bill: Bill) -> None:
    assert bill.versions.startswith("Pillow 13.0.0, TensorFlow Lite 2."), "this image has no Python"
    assert "Abseil" not in bill.versions, "nothing of it is compiled in"


def test_the_document_keeps_to_the_official_schema(bill: Bill) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill.as_cyclonedx().decode()) is None
