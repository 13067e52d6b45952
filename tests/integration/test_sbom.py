"""The bill of materials in the image: it keeps to the schema, names everything that is there, and tells the truth."""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import docker
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

import audit
from audit.owners import owners_of
from cli.pipeline import Pipeline
from images.build import EPOCH, INPUTS_LABEL, RECIPE, SBOM, SBOM_FOLDER, STAGE_LABEL, Image
from images.extract import saved
from images.sbom import Subject, bill_of
from images.sbom.cyclonedx import TEXT_PROPERTY
from images.sbom.licences import COMMON_LICENCES, TABLES, unknown_licences

pytestmark = pytest.mark.engine

LIBRARY = "/under48/action/libunder48.so"
MODEL = "/under48/action/model.tflite"
PILLOW_TEXT = "/under48/action/pillow-*.dist-info/licenses/LICENSE"
MAX_BYTES = 1 << 24

# What only the text of each licence says, white space apart.
WORDS = {
    "Apache-2.0": "Apache License Version 2.0, January 2004",
    "BSD-2-Clause": "Redistributions in binary form must reproduce",
    "BSD-3-Clause": "Neither the name",
    "GPL-3.0-or-later": "GCC RUNTIME LIBRARY EXCEPTION",
    "IJG": "Permission is hereby granted to use, copy, modify, and distribute this software",
    "MIT": "Permission is hereby granted, free of charge",
    "MIT-CMU": "with the following terms and conditions",
    "MPL-2.0": "Mozilla Public License Version 2.0",
}
NO_TEXT_NEEDED = {"Zlib"}  # its third clause binds source distributions alone


@pytest.fixture(scope="module")
def tree(engine: docker.DockerClient, image: Image) -> Iterator[audit.Tree]:
    with saved(engine, image.id) as file:
        yield audit.read_image(file, image.tag)


@pytest.fixture(scope="module")
def text(tree: audit.Tree) -> str:
    return _text(tree, f"{SBOM_FOLDER}/{SBOM}")


@pytest.fixture(scope="module")
def components(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)["components"]
    return found


def _text(tree: audit.Tree, path: str) -> str:
    return (tree.read(path, MAX_BYTES) or b"").decode()


def _texts_of(component: Mapping[str, Any]) -> list[str]:
    return [said["value"] for said in component.get("properties", ()) if said["name"] == TEXT_PROPERTY]


def _files_of(component: Mapping[str, Any]) -> set[str]:
    return {found["location"] for found in component.get("evidence", {}).get("occurrences", ())}


def _licences_of(component: Mapping[str, Any]) -> str:
    (licence,) = component["licenses"]
    return str(licence.get("expression") or licence["license"]["id"])


def test_it_keeps_to_the_official_schema(text: str) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_it_is_written_beside_the_build_as_it_lies_in_the_image(pipeline: Pipeline, text: str) -> None:
    assert pipeline.sbom.read_text() == text


def test_made_again_from_the_image_it_is_the_same_bytes(
    pipeline: Pipeline, image: Image, tree: audit.Tree, text: str
) -> None:
    subject = Subject(
        tag=image.tag,
        model=pipeline.model,
        labels=pipeline.catalog.labels_of(pipeline.model),
        architecture=pipeline.architecture.debian,
        made_at=EPOCH,
    )
    assert bill_of(tree, subject).as_cyclonedx().decode() == text


def test_every_native_file_of_the_image_is_covered(
    tree: audit.Tree, components: list[dict[str, Any]]
) -> None:
    covered = {path for component in components for path in _files_of(component)}
    assert set(audit.analyse(tree).elves) - covered == set()
    assert {path for path in covered if path not in tree.entries} == set(), (
        "and nothing is named that is not there"
    )


def test_a_native_file_is_covered_by_the_package_that_has_it(
    tree: audit.Tree, components: list[dict[str, Any]]
) -> None:
    owners = owners_of(tree)
    holders = {path: component for component in components for path in _files_of(component)}
    packaged = {path: owners[path] for path in audit.analyse(tree).elves if owners.get(path)}
    wrong = {
        path
        for path, package in packaged.items()
        if package.manager == "dpkg"
        and (holders[path]["name"], holders[path]["version"]) != (package.name, package.version)
    }
    assert wrong == set()
    assert len(packaged) == len(audit.analyse(tree).elves) - 1, "all but libunder48.so"


def test_the_packages_are_those_of_dpkg_in_the_same_versions(
    tree: audit.Tree, components: list[dict[str, Any]]
) -> None:
    status = _text(tree, "/var/lib/dpkg/status")
    wanted = set(
        re.findall(
            r"^Package: (\S+)\n(?:.+\n)*?Version: (\S+)\n(?:.+\n)*?Architecture: (\S+)$", status, re.MULTILINE
        )
    )
    assert len(wanted) == status.count("Package: ")
    packages = {
        (purl.name, purl.version, purl.qualifiers["arch"])
        for component in components
        if component["bom-ref"].startswith("deb:") and (purl := PackageURL.from_string(component["purl"]))
    }
    assert packages == wanted


def test_exactly_those_sources_are_listed_whose_files_were_compiled(
    engine: docker.DockerClient, image: Image, components: list[dict[str, Any]]
) -> None:
    wanted = {"label": [f"{INPUTS_LABEL}={image.labels[INPUTS_LABEL]}", f"{STAGE_LABEL}=compile"]}
    stages = engine.api.images(filters=wanted, all=True)
    if not stages:
        pytest.skip("the compile stage of this image was removed from the engine")
    log = engine.containers.run(
        stages[0]["Id"], ["ninja", "-C", "/build/native", "-t", "deps"], network_mode="none", remove=True
    )
    compiled = set(re.findall(r"^ +/src/([a-z0-9]+)/", log.decode(), re.MULTILINE))
    listed = {
        component["bom-ref"].partition(":")[2]
        for component in components
        if component["bom-ref"].startswith("source:") and "pkg:deb" not in component["purl"]
    }
    assert listed == compiled
    rows = {row["name"] for row in tomllib.loads((RECIPE / "sources.toml").read_text())["source"]}
    assert listed == rows - {name for name, row in TABLES["source"].items() if row.get("unused")}


def test_the_digests_are_those_of_the_files(tree: audit.Tree, components: list[dict[str, Any]]) -> None:
    digests = {
        path: component["hashes"][0]["content"]
        for component in components
        if "hashes" in component
        for path in _files_of(component)
    }
    assert digests.keys() >= {LIBRARY, MODEL}
    for path, digest in digests.items():
        assert hashlib.sha256(tree.read(path, MAX_BYTES * 4) or b"").hexdigest() == digest, path


def test_every_component_has_a_version_a_licence_and_its_text_in_the_image(
    tree: audit.Tree, components: list[dict[str, Any]]
) -> None:
    for component in components:
        assert component["version"], component
        assert unknown_licences(_licences_of(component)) == set(), component
        texts = _texts_of(component)
        assert texts, component
        assert [path for path in texts if not _text(tree, path).strip()] == [], component["name"]


def test_the_texts_are_those_of_the_licences(tree: audit.Tree, components: list[dict[str, Any]]) -> None:
    """Of what is compiled in and copied. A Debian package's copyright file is its text by definition."""
    checked = set()
    for component in components:
        if component["bom-ref"].startswith(("deb:", "os:", "bundled:")):
            continue
        said = " ".join(" ".join(_text(tree, path) for path in _texts_of(component)).split())
        for licence in re.split(r" AND | WITH \S+", _licences_of(component)):
            if licence and licence not in NO_TEXT_NEEDED:
                assert WORDS[licence].lower() in said.lower(), (component["name"], licence)
                checked.add(licence)
    assert checked == WORDS.keys()


def test_pillows_text_has_a_part_for_every_library_that_it_brings(
    tree: audit.Tree, components: list[dict[str, Any]]
) -> None:
    (path,) = tree.glob(PILLOW_TEXT)
    headings = set(re.findall(r"^----\n\n([A-Z0-9]+)$", _text(tree, path), re.MULTILINE))
    bundled = [
        component["bom-ref"].partition(":")[2]
        for component in components
        if component["bom-ref"].startswith("bundled:")
    ]
    assert bundled
    assert {TABLES["bundled"][name]["heading"] for name in bundled} - headings == set()


def test_the_common_texts_that_copyright_files_refer_to_are_there(tree: audit.Tree) -> None:
    named = {
        name
        for path in tree.glob("/usr/share/doc/*/copyright")
        for name in re.findall(rf"{COMMON_LICENCES}/([A-Z][A-Za-z0-9.-]*[A-Za-z0-9])", _text(tree, path))
    }
    assert {"GPL-2", "LGPL-2.1", "Apache-2.0"} <= named
    assert {name for name in named if not tree.resolve(f"{COMMON_LICENCES}/{name}")} == set()


def test_the_labels_say_the_same_as_the_document(
    image: Image, text: str, components: list[dict[str, Any]]
) -> None:
    whole = json.loads(text)["metadata"]["component"]
    assert image.labels["org.opencontainers.image.licenses"] == _licences_of(whole)
    assert f"{whole['name']}:{whole['version']}" == image.tag
    versions = {component["name"]: component["version"] for component in components}
    said = image.labels["org.under48.versions"].split(", ")
    for title, name in (("CPython", "libpython3.11-minimal"), ("glibc", "libc6")):
        assert f"{title} {versions[name].rpartition('-')[0]}" in said
    for name in ("TensorFlow Lite", "XNNPACK", "libstdc++"):
        assert f"{name} {versions[name]}" in said
    assert f"Pillow {versions['pillow']}" in said
