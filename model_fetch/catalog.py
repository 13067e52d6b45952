"""The catalogue as values: what can be fetched, and what a model wants to be fed."""

import difflib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from model_fetch.errors import BadCatalog, UnknownName

Format = Literal["tflite", "tfjs"]
TensorType = Literal["uint8", "int8", "float32"]
Output = Literal["probabilities", "logits"]

# Narrower than RFC 3986 on purpose: what passes is a plain file name on every system, so that no URL leads
# out of the cache.
_HOST = re.compile(r"[a-z0-9][a-z0-9.-]*(:[0-9]+)?")
_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+@=~-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_UNFINISHED = ".part"  # the suffix of a download on its way: no asset may be taken for one


@dataclass(frozen=True, kw_only=True, slots=True)
class Asset:
    """One downloadable file. `bytes` is its exact size, `sha256` its digest in lower-case hex.

    Raises:
        BadCatalog: a field has not the form of what it should be.
    """

    url: str
    sha256: str
    bytes: int
    licence: str

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.sha256):
            raise BadCatalog(f"{self.url}: {self.sha256!r} is no SHA-256 in lower-case hex")
        if self.bytes < 1:
            raise BadCatalog(f"{self.url}: a file of {self.bytes} bytes is none")
        _ = self.location

    @property
    def location(self) -> PurePosixPath:
        """`<host>/<path of the URL>`: where the file lies in a mirror and in the cache.

        The query is left out, as in mirrors made by the usual tools.
        """
        url = urlsplit(self.url)
        segments = url.path.split("/")[1:]
        if (
            url.scheme not in ("https", "http")
            or not _HOST.fullmatch(url.netloc)
            or not segments
            or not all(_SEGMENT.fullmatch(segment) for segment in segments)
            or url.path.endswith(_UNFINISHED)
        ):
            raise BadCatalog(
                f"{self.url!r} is no plain http(s) URL of a file: only host, path and query are taken"
            )
        return PurePosixPath(url.netloc, *segments)

    @property
    def name(self) -> str:
        """The file's name, the last part of the URL's path."""
        return self.location.name


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A classifier: one `.tflite` file, or a TF.js `model.json` with its weight shards.

    Attributes:
        input_size: height and width in pixels; the input tensor is [1, height, width, 3], RGB.
        input_type: type of the input tensor's elements.
        input_range: the element values that stand for pixel values 0 and 255, linear in between.
        crop: the central fraction of height and width that is kept before the resize.
        output: whether a softmax is still to be applied ("logits") or not ("probabilities").
        labels: name of the `Labels` entry.
        labels_offset: how many lines of the labels stand before the one of class 0.
    """

    name: str
    files: tuple[Asset, ...]
    format: Format
    input_size: tuple[int, int]
    input_type: TensorType
    input_range: tuple[float, float]
    crop: float
    output: Output
    output_type: TensorType
    labels: str
    labels_offset: int

    def class_names(self, labels: str) -> tuple[str, ...]:
        """The names of the model's classes, class 0 first, from the text of its labels file."""
        return tuple(labels.splitlines()[self.labels_offset :])


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """Class names, one line a class."""

    name: str
    asset: Asset
    lines: int

    @property
    def files(self) -> tuple[Asset, ...]:
        """The one file, as every entry offers its files."""
        return (self.asset,)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """A photo, and the class names (whole lines of the labels) that are right answers for it."""

    name: str
    asset: Asset
    accepted: tuple[str, ...]

    @property
    def files(self) -> tuple[Asset, ...]:
        """The one file, as every entry offers its files."""
        return (self.asset,)


Entry = Model | Labels | Sample
_E = TypeVar("_E", bound=Entry)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of the list of all there is; `bytes` counts all files of the entry."""

    name: str
    kind: Literal["model", "labels", "sample"]
    bytes: int
    bundled: bool
    cached: bool
    licence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalog:
    """Everything that can be fetched. Names are unique over all three kinds."""

    models: tuple[Model, ...]
    labels: tuple[Labels, ...]
    samples: tuple[Sample, ...]

    def __post_init__(self) -> None:
        entries = self.entries
        _refuse_repeats("name", [entry.name for entry in entries])
        _refuse_repeats("location", [str(asset.location) for entry in entries for asset in entry.files])
        names = {labels.name for labels in self.labels}
        for model in self.models:
            if model.labels not in names:
                raise BadCatalog(f"{model.name}: the catalogue has no labels called {model.labels!r}")

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All models, then all labels, then all samples."""
        return (*self.models, *self.labels, *self.samples)

    def model(self, name: str) -> Model:
        """The model of this name; raises UnknownName with near matches."""
        return _named(name, self.models, "model")

    def sample(self, name: str) -> Sample:
        """The sample photo of this name; raises UnknownName with near matches."""
        return _named(name, self.samples, "sample photo")

    def labels_of(self, model: Model) -> Labels:
        """The labels that the model's classes are named by."""
        return _named(model.labels, self.labels, "labels file")

    def entry(self, name: str) -> Entry:
        """The entry of this name, whatever its kind; raises UnknownName with near matches."""
        return _named(name, self.entries, "entry")

    def rows(self, *, bundled: Callable[[Asset], bool], cached: Callable[[Asset], bool]) -> tuple[Row, ...]:
        """Everything there is as rows; the two functions say of a file whether it is bundled, and in the cache."""
        kinds: tuple[tuple[Literal["model", "labels", "sample"], Sequence[Entry]], ...] = (
            ("model", self.models),
            ("labels", self.labels),
            ("sample", self.samples),
        )
        return tuple(
            Row(
                name=entry.name,
                kind=kind,
                bytes=sum(asset.bytes for asset in entry.files),
                bundled=all(map(bundled, entry.files)),
                cached=all(map(cached, entry.files)),
                licence=entry.files[0].licence,
            )
            for kind, entries in kinds
            for entry in entries
        )


def _named(name: str, entries: Sequence[_E], kind: str) -> _E:
    for entry in entries:
        if entry.name == name:
            return entry
    near = difflib.get_close_matches(name, [entry.name for entry in entries], n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise UnknownName(
        f"the catalogue has no {kind} called {name!r}: {hint}`invoke fetch-model --list` shows all names"
    )


def _refuse_repeats(what: str, values: Sequence[str]) -> None:
    for value, times in Counter(values).items():
        if times > 1:
            raise BadCatalog(f"the catalogue has the {what} {value!r} {times} times")
