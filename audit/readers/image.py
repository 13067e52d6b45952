"""Reads a saved image (`docker save`, or an OCI layout in a tar) as a Tree: layer over layer."""

from __future__ import annotations

import json
import posixpath
from io import SEEK_END
from typing import IO, TYPE_CHECKING, Any

from audit.errors import UnreadableTargetError
from audit.readers.builder import TreeBuilder, most_from
from audit.readers.tars import inflated, tar_entries, tar_members, window
from audit.tree import MAX_SYMLINKS, ImageConfig, Tree

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Set as AbstractSet

MAX_JSON_BYTES = 16 << 20
MAX_LAYERS = 1000  # the overlay driver of the engine takes 125
MAX_INDEXES = 4


def read_image(file: IO[bytes], name: str) -> Tree:
    """Read a saved image from a seekable binary file object, which stays in use as long as the tree.

    Layouts: docker-archive (`manifest.json`, with `layer.tar` folders or `blobs/sha256`) and OCI image layout
    (`index.json`). When it holds several images, the first is read. Sources: moby image/tarexport; OCI
    image-spec, image-layout.md, layer.md and config.md.

    Raises:
        UnreadableTargetError: it is no saved image, or a part of it is missing or damaged.
        TooLargeError: it has too many entries, or inflates to too much.
    """
    saved = _Saved(file, name)
    config, layers = saved.docker_archive() if "manifest.json" in saved.members else saved.oci_layout()
    if len(layers) > MAX_LAYERS:
        raise saved.broken(f"it claims {len(layers)} layers")
    builder = TreeBuilder(name)
    room = most_from(file.seek(0, SEEK_END))
    for layer, command in zip(layers, _commands(config.get("history"), len(layers)), strict=True):
        packed = saved.open(layer)
        content = inflated(packed, f"layer {layer} of {name}", room)
        room -= content.seek(0, SEEK_END) if content is not packed else 0
        builder.lay_over(tar_entries(content, name), layer, command)
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
    def __init__(self, file: IO[bytes], name: str) -> None:
        self.file = file
        self.name = name
        self.members: dict[str, tarfile.TarInfo] = {
            posixpath.normpath(member.name): member for member in tar_members(file, name)
        }

    def broken(self, what: str) -> UnreadableTargetError:
        return UnreadableTargetError(f"{self.name} is no image that can be read: {what}. Save it again.")

    def docker_archive(self) -> tuple[dict[str, Any], list[str]]:
        manifests = self.json("manifest.json", list)
        first = manifests[0] if manifests and isinstance(manifests[0], dict) else {}
        config, layers = first.get("Config"), first.get("Layers") or []
        if not isinstance(config, str) or not _are_names(layers):
            raise self.broken("manifest.json names no configuration or no layers")
        return self.json(config, dict), layers

    def oci_layout(self) -> tuple[dict[str, Any], list[str]]:
        if "index.json" not in self.members:
            raise self.broken("it holds neither manifest.json nor index.json")
        document = self.json("index.json", dict)
        for _ in range(MAX_INDEXES):  # an index may lead to an index, one more for each platform
            if "layers" in document:
                break
            manifests = document.get("manifests")
            listed = [i for i in manifests if isinstance(i, dict)] if isinstance(manifests, list) else []
            images = [item for item in listed if not _is_attestation(item.get("platform"))]
            if not images:
                raise self.broken("its index lists no image")
            document = self.json(self.blob(images[0]), dict)
        layers = document.get("layers")
        if not isinstance(layers, list):
            raise self.broken("its manifest lists no layers")
        return self.json(self.blob(document.get("config")), dict), [self.blob(layer) for layer in layers]

    def blob(self, descriptor: object) -> str:
        digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
        if not isinstance(digest, str):
            raise self.broken("a descriptor has no digest")
        return "blobs/" + digest.replace(":", "/", 1)

    def open(self, path: str) -> IO[bytes]:
        member = self.members.get(posixpath.normpath(path))
        # Old engines store a layer that several images share once, and lead to it by symlinks.
        for _ in range(MAX_SYMLINKS):
            if member is None or not (member.issym() or member.islnk()):
                break
            folder = posixpath.dirname(member.name) if member.issym() else ""
            member = self.members.get(posixpath.normpath(posixpath.join(folder, member.linkname)))
        if member is None or not member.isreg():
            raise self.broken(f"{path} is missing")
        return window(self.file, member.offset_data, member.size)

    def json(self, path: str, kind: type) -> Any:
        content = self.open(path).read(MAX_JSON_BYTES)
        try:
            document = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise self.broken(f"{path} is no JSON: {error}") from error
        if not isinstance(document, kind):
            raise self.broken(f"{path} holds no {kind.__name__}")
        return document


def _is_attestation(platform: object) -> bool:
    """Tell a manifest of provenance that BuildKit adds, whose system is `unknown`."""
    return isinstance(platform, dict) and platform.get("os") == "unknown"


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
