"""Reads a saved image (`docker save`, or an OCI layout, as a tar or a folder) as a Tree: layer over layer."""

from __future__ import annotations

import json
import posixpath
import re
from io import SEEK_END
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from audit.errors import UnreadableEntryError, UnreadableTargetError
from audit.readers.builder import TreeBuilder, most_from
from audit.readers.saved import INDEX, MANIFEST, MAX_JSON_BYTES, TarParts
from audit.readers.tars import tar_entries, unpacked
from audit.tree import ImageConfig, Tree

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from audit.readers.saved import Parts

MAX_LAYERS = 1000  # the overlay driver of the engine takes 125
MAX_INDEXES = 4
MAX_MANIFESTS = 1000  # of one index: a platform, or its attestation, each
# OCI image-spec, descriptor.md, "Digests"; a blob's name is made of it.
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")
# What an image's configuration is called, where it is said: whatever else has layers is a chart, a signature, …
_CONFIGS = ("application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json")


def read_image(file: IO[bytes], name: str, architecture: str = "") -> Tree:
    """Read a saved image from a seekable binary file object, which stays in use as long as the tree.

    Raises: as `read_saved`.
    """
    return read_saved(TarParts(file, name), name, architecture)


def read_saved(parts: Parts, name: str, architecture: str = "") -> Tree:
    """Read a saved image from its files.

    Layouts: docker-archive (`manifest.json`, with `layer.tar` folders or `blobs/sha256`) and OCI image layout
    (`index.json`). When it holds several images, the first is read; of one for several platforms, that for Linux on
    `architecture` (in OCI's words) where there is such. Sources: moby image/tarexport; OCI image-spec,
    image-layout.md, image-index.md, layer.md and config.md.

    Raises:
        UnreadableTargetError: it is no saved image, or a part of it is missing or damaged.
        UnreadableEntryError: a part of it may not be read.
        TooLargeError: it has too many entries, or unpacks to too much.
    """
    saved = _Saved(parts, name, architecture)
    config, layers = saved.docker_archive() if saved.has(MANIFEST) else saved.oci_layout()
    if len(layers) > MAX_LAYERS:
        raise saved.broken(f"it claims {len(layers)} layers")
    opened = {layer: saved.open(layer) for layer in layers}
    room = most_from(sum(packed.seek(0, SEEK_END) for packed in opened.values()))
    builder = TreeBuilder(name)
    for layer, command in zip(layers, _commands(config.get("history"), len(layers)), strict=True):
        packed, described = opened[layer], f"layer {layer} of {name}"
        content = unpacked(packed, described, room)
        room -= content.seek(0, SEEK_END) if content is not packed else 0
        builder.lay_over(tar_entries(content, described), layer, command)
    return builder.build("image", config=_config(config))


def refuse_old_image(names: AbstractSet[str], name: str) -> None:
    """Refuse what an engine before 1.10 saved: `repositories` and folders with `layer.tar`, without a manifest.

    Source: moby image/spec/v1.md, "Combined Image JSON + Filesystem Changeset Format"; its pull request 50324 ended
    the loading of them.

    Raises:
        UnreadableTargetError: it is one.
    """
    if "repositories" in names and any(place.endswith("/layer.tar") for place in names):
        raise UnreadableTargetError(
            f"{name} is an image that Docker before 1.10 saved, which is not read here: load it and save it again "
            "(docker load, docker save) with a Docker of 1.10 or later; the newest do not load it any more."
        )


class _Saved:
    def __init__(self, parts: Parts, name: str, architecture: str) -> None:
        self.parts = parts
        self.name = name
        self.architecture = architecture

    def broken(self, what: str) -> UnreadableTargetError:
        return UnreadableTargetError(f"{self.name} cannot be read as an image: {what}. Save it again.")

    def docker_archive(self) -> tuple[dict[str, Any], list[str]]:
        manifests = self.json(MANIFEST, list)
        first = manifests[0] if manifests and isinstance(manifests[0], dict) else {}
        config, layers = first.get("Config"), first.get("Layers") or []
        if not isinstance(config, str) or not _are_names(layers):
            raise self.broken("manifest.json names no configuration or no layers")
        return self.json(config, dict), layers

    def oci_layout(self) -> tuple[dict[str, Any], list[str]]:
        if not self.has(INDEX):
            raise self.broken("it holds neither manifest.json nor index.json")
        document = self.json(INDEX, dict)
        for _ in range(MAX_INDEXES):  # an index may lead to an index, one more for each platform
            if "layers" in document:
                break
            document = self.json(self.chosen(document.get("manifests")), dict)
        layers, config = document.get("layers"), document.get("config")
        if not isinstance(layers, list):
            raise self.broken("its manifest lists no layers")
        kind = document.get("artifactType") or (config.get("mediaType") if isinstance(config, dict) else None)
        if isinstance(kind, str) and kind not in _CONFIGS:
            raise UnreadableTargetError(
                f"{self.name} holds an artifact of the type {kind[:200]!r}, not an image. Name an image."
            )
        return self.json(self.blob(config), dict), [self.blob(layer) for layer in layers]

    def chosen(self, manifests: object) -> str:
        """Return the blob of the manifest or index to follow: that of the platform, else the first that is there.

        An engine saves the index as it got it, with the blobs of the platforms that it has.
        """
        listed = [i for i in manifests if isinstance(i, dict)] if isinstance(manifests, list) else []
        images = list(islice((item for item in listed if _may_be_image(item)), MAX_MANIFESTS))
        if not images:
            raise self.broken("its index lists no image")
        images.sort(key=lambda item: _rank(item.get("platform"), self.architecture))
        blobs = (self.blob(item) for item in images)
        return next((blob for blob in blobs if self.has(blob)), self.blob(images[0]))

    def blob(self, descriptor: object) -> str:
        digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise self.broken("a descriptor has no digest")
        return "blobs/" + digest.replace(":", "/")

    def has(self, path: str) -> bool:
        try:
            file = self.parts.open(path)
        except UnreadableEntryError:
            return True  # who opens it says why it cannot be read
        if file is not None:
            file.close()
        return file is not None

    def open(self, path: str) -> IO[bytes]:
        file = self.parts.open(path)
        if file is None:
            raise self.broken(f"{path[:200]} is missing")
        return file

    def json(self, path: str, kind: type) -> Any:
        with self.open(path) as file:
            content = file.read(MAX_JSON_BYTES)
        try:
            document = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise self.broken(f"{path} is not valid JSON: {error}") from error
        if not isinstance(document, kind):
            raise self.broken(f"{path} does not hold a {kind.__name__}")
        return document


def _may_be_image(descriptor: Mapping[str, Any]) -> bool:
    """Whether a descriptor is not known to be something else: an attestation of BuildKit's, a signature, an SBOM."""
    platform = descriptor.get("platform")
    unknown = isinstance(platform, dict) and platform.get("os") == "unknown"
    return not unknown and descriptor.get("artifactType") in (None, *_CONFIGS)


def _rank(platform: object, architecture: str) -> int:
    """Return 0 for the platform wanted, 1 for others with Linux and where nothing is said, 2 for other systems."""
    known = platform if isinstance(platform, dict) else {}
    if known.get("os", "linux") != "linux":
        return 2
    return int(known.get("architecture") != architecture)


def _are_names(names: object) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


def _config(document: dict[str, Any]) -> ImageConfig:
    inner = document.get("config")
    inner = inner if isinstance(inner, dict) else {}
    environment = [item for item in _names(inner.get("Env")) if "=" in item]
    labels = inner.get("Labels")
    return ImageConfig(
        environment={name: value for name, _, value in (item.partition("=") for item in environment)},
        entrypoint=_names(inner.get("Entrypoint")),
        command=_names(inner.get("Cmd")),
        user=str(inner.get("User") or ""),
        working_dir=posixpath.join("/", str(inner.get("WorkingDir") or "/")),
        architecture=str(document.get("architecture") or ""),
        labels={str(key): str(value) for key, value in labels.items()} if isinstance(labels, dict) else {},
        history=_history(document.get("history")),
    )


def _commands(history: object, layers: int) -> tuple[str, ...]:
    """Give the build step of each layer (OCI image-spec, config.md: steps marked empty_layer made none)."""
    steps = [step for step in history if isinstance(step, dict)] if isinstance(history, list) else []
    commands = _history([step for step in steps if not step.get("empty_layer")])
    return commands if len(commands) == layers else ("",) * layers


def _history(value: object) -> tuple[str, ...]:
    steps = [step for step in value if isinstance(step, dict)] if isinstance(value, list) else []
    return tuple(str(step.get("created_by") or "") for step in steps)


def _names(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()
