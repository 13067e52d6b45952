"""One part of an image as the bill of materials lists it, whatever format that is written in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from packageurl import PackageURL

Kind = Literal["application", "library", "operating-system", "machine-learning-model", "data"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """The file that a part was made from or is: an address (or a path in any Debian pool), and its digest."""

    url: str
    sha256: str
    is_source_code: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A piece of software or data in the image; `ref` is unique in the image, and `needs` holds others' refs."""

    ref: str
    kind: Kind
    name: str
    version: str = ""
    purl: PackageURL | None = None
    cpe: str = ""  # for scanners that look things up in NVD, which knows no purl
    licence: str  # an SPDX expression
    licence_texts: tuple[str, ...]  # paths in the image
    files: tuple[str, ...] = ()  # native files and data in the image that are this part, or hold it
    sha256: str = ""  # of the one file that it is
    source: Source | None = None
    needs: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
