"""The bill of materials of an image: what it holds, in which versions, under which licences."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import audit
from audit.owners import owners_of
from images.sbom.debian import debian_parts
from images.sbom.licences import joined
from images.sbom.native import LICENCES, native_parts
from images.sbom.part import Part, Source
from images.sbom.wheel import wheel_parts
from model_fetch import Asset, Labels, Model

__all__ = ["Bill", "Part", "Subject", "bill_of"]

_ROOT = Path(__file__).parent.parent.parent
_MODEL, _LABELS = "/under48/action/model.tflite", "/under48/action/labels.txt"
# What people ask for first: the versions that an image's label names.
_NOTABLE = {"deb:libpython3.11-minimal": "CPython", "deb:libc6": "glibc", "pypi:pillow": "Pillow"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What an image was built for; `architecture` in Debian's words, `made_at` in seconds since 1970."""

    tag: str
    model: Model
    labels: Labels
    architecture: str
    made_at: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Bill:
    """All parts of an image."""

    image: Part
    parts: tuple[Part, ...]
    made_at: int

    def as_cyclonedx(self) -> bytes:
        """The document in CycloneDX's JSON."""
        from images.sbom.cyclonedx import as_cyclonedx  # noqa: PLC0415 - a library that only a build needs

        return as_cyclonedx(self.image, self.parts, made_at=self.made_at)

    @property
    def versions(self) -> str:
        """The versions of what matters most, as one line."""
        found = {part.ref: part.version for part in self.parts}
        notable = [
            f"{title} {found[ref].partition('-')[0]}" for ref, title in _NOTABLE.items() if ref in found
        ]
        compiled = [f"{part.name} {part.version}" for part in self.parts if part.ref.startswith("source:")]
        return ", ".join([*notable, *compiled])

    @property
    def licence(self) -> str:
        """Of the image as a whole: all that its parts name, as an SPDX expression."""
        return self.image.licence


def bill_of(tree: audit.Tree, subject: Subject) -> Bill:
    """The parts of an image whose files are `tree`."""
    version = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["version"]
    rows = tomllib.loads((_ROOT / "images/native/sources.toml").read_text())["source"]
    analysis = audit.analyse(tree)
    natives = _natives(analysis)
    parts = [
        *_own(subject, version),
        *native_parts(tree, rows, version, subject.architecture),
        *wheel_parts(tree, natives),
        *debian_parts(tree, natives),
    ]
    parts = _linked(parts, analysis)
    image = Part(
        ref="image",
        kind="application",
        name=subject.tag.partition(":")[0],
        version=subject.tag.partition(":")[2],
        licence=joined(part.licence for part in parts),
        licence_texts=(),
    )
    return Bill(image=image, parts=tuple(parts), made_at=subject.made_at)


def _natives(analysis: audit.Analysis) -> dict[str, list[str]]:
    """The native files of each package."""
    owners = owners_of(analysis.target)
    natives: dict[str, list[str]] = {}
    for path in sorted(analysis.elves):
        if path in owners:
            natives.setdefault(owners[path].name, []).append(path)
    return natives


def _linked(parts: Sequence[Part], analysis: audit.Analysis) -> list[Part]:
    """The parts, with those added to `needs` whose libraries the loader finds for theirs."""
    holder: dict[str, str] = {}
    for part in parts:
        for path in part.files:
            holder.setdefault(path, part.ref)  # of libunder48.so, itself and not what is compiled into it
    needs: dict[str, set[str]] = {part.ref: set(part.needs) for part in parts}
    for path, edges in analysis.graph.edges.items():
        if path in holder:
            needs[holder[path]] |= {holder[edge.path] for edge in edges if edge.path in holder}
    return [replace(part, needs=tuple(sorted(needs[part.ref] - {part.ref}))) for part in parts]


def _own(subject: Subject, version: str) -> list[Part]:
    """under48 itself, the model and its labels."""
    texts = (f"{LICENCES}/LICENSE", f"{LICENCES}/NOTICE")
    model = subject.model
    return [
        Part(
            ref="under48",
            kind="application",
            name="under48",
            version=version,
            licence="Apache-2.0",
            licence_texts=texts,
            needs=(
                "under48:library",
                "under48:model",
                "under48:labels",
                "pypi:pillow",
                "deb:python3.11-minimal",
            ),
        ),
        _data("under48:model", "machine-learning-model", model.name, model.files[0], _MODEL),
        _data("under48:labels", "data", model.labels, subject.labels.asset, _LABELS),
    ]


def _data(
    ref: str, kind: Literal["machine-learning-model", "data"], name: str, asset: Asset, path: str
) -> Part:
    return Part(
        ref=ref,
        kind=kind,
        name=name,
        version=asset.sha256[:12],
        licence=asset.licence.partition(" ")[0],
        licence_texts=(f"{LICENCES}/LICENSE",),
        files=(path,),
        sha256=asset.sha256,
        source=Source(url=asset.url, sha256=asset.sha256, is_source_code=False),
    )
