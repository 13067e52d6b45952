import json
import re
from dataclasses import replace
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from images.sbom.cyclonedx import as_cyclonedx
from images.sbom.part import Part, Source

IMAGE = Part(
    ref="image", kind="application", name="a/b", version="1", licence="MIT AND Zlib", licence_texts=()
)
LIBRARY = Part(
    ref="lib:a",
    kind="library",
    name="liba",
    version="1.0",
    purl=PackageURL("deb", "debian", "liba", "1.0", {"arch": "amd64"}),
    cpe="cpe:2.3:a:a:liba:1.0:*:*:*:*:*:*:*",
    licence="LicenseRef-Debian-a",
    licence_texts=("/usr/share/doc/liba/copyright",),
    files=tuple(f"/lib/{name}.so" for name in "hcgafbed"),
    needs=("data:m", "not in the image"),
    properties={"x:y": "z"},
)
DATA = Part(
    ref="data:m",
    kind="machine-learning-model",
    name="m",
    licence="Apache-2.0",
    licence_texts=(),
    files=("/m",),
    sha256="a" * 64,
    source=Source(url="https://files.example/m", sha256="a" * 64, is_source_code=False),
)


def _written(*parts: Part) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(as_cyclonedx(IMAGE, parts, made_at=1))
    return document


def test_it_keeps_to_the_official_schema() -> None:
    text = as_cyclonedx(IMAGE, [LIBRARY, DATA], made_at=1).decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_the_same_parts_in_any_order_give_the_same_bytes() -> None:
    once = as_cyclonedx(IMAGE, [LIBRARY, DATA], made_at=1)
    for _ in range(5):  # what is in no order differs by chance
        assert as_cyclonedx(IMAGE, [DATA, LIBRARY], made_at=1) == once
    assert b'"timestamp": "1970-01-01T00:00:01+00:00"' in once


@pytest.mark.parametrize(
    "other",
    [replace(LIBRARY, version="1.1"), replace(LIBRARY, files=()), DATA],
    ids=["version", "files", "part"],
)
def test_another_content_has_another_serial_number(other: Part) -> None:
    numbers = {_written(part)["serialNumber"] for part in (LIBRARY, other)}
    assert len(numbers) == 2
    assert all(
        re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", number) for number in numbers
    )


def test_a_part_has_all_that_is_known_of_it() -> None:
    components = {component["name"]: component for component in _written(LIBRARY, DATA)["components"]}
    data = components["m"]
    assert components["liba"] == {
        "bom-ref": "lib:a",
        "type": "library",
        "name": "liba",
        "version": "1.0",
        "purl": "pkg:deb/debian/liba@1.0?arch=amd64",
        "cpe": "cpe:2.3:a:a:liba:1.0:*:*:*:*:*:*:*",
        "licenses": [{"acknowledgement": "declared", "expression": "LicenseRef-Debian-a"}],
        "evidence": {"occurrences": [{"location": f"/lib/{name}.so"} for name in "abcdefgh"]},
        "properties": [
            {"name": "under48:licence-text", "value": "/usr/share/doc/liba/copyright"},
            {"name": "x:y", "value": "z"},
        ],
    }
    digest = [{"alg": "SHA-256", "content": "a" * 64}]
    assert data["hashes"] == digest
    assert data["externalReferences"] == [
        {"type": "distribution", "url": "https://files.example/m", "hashes": digest}
    ]
    assert data["licenses"] == [{"license": {"acknowledgement": "declared", "id": "Apache-2.0"}}]


def test_the_image_depends_on_all_parts_and_a_part_on_those_it_needs() -> None:
    assert _written(LIBRARY, DATA)["dependencies"] == [
        {"ref": "data:m"},
        {"ref": "image", "dependsOn": ["data:m", "lib:a"]},
        {"ref": "lib:a", "dependsOn": ["data:m"]},
    ]
