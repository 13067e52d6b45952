"""Saved images in the layouts of old and new engines, and what is wrong with broken ones."""

import gzip
import hashlib
import io
import json
import tarfile
from typing import Any

import pytest

from audit.errors import UnreadableTargetError
from audit.readers.image import read_image
from audit.tree import ImageConfig

CONFIG = {
    "architecture": "arm64",
    "config": {
        "Env": ["PATH=/bin", "LD_LIBRARY_PATH=/opt/lib"],
        "Entrypoint": ["/bin/serve"],
        "Cmd": ["--port", "8080"],
        "User": "65532",
        "WorkingDir": "/srv",
        "Labels": {"org.opencontainers.image.revision": "abc"},
    },
}


def tarred(files: dict[str, bytes | str]) -> bytes:
    """A tar of files, and of symlinks where the content is text."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


LOWER = tarred({"etc/old": b"1", "etc/kept": b"2", "bin": "usr/bin", "usr/bin/serve": b"#!/bin/sh\n"})
UPPER = tarred({"etc/.wh.old": b"", "etc/new": b"3"})


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


def docker_archive(**more: bytes | str) -> dict[str, bytes | str]:
    return {
        "c.json": as_json(CONFIG),
        "one/layer.tar": LOWER,
        "two/layer.tar": UPPER,
        "manifest.json": as_json([{"Config": "c.json", "Layers": ["one/layer.tar", "two/layer.tar"]}]),
        **more,
    }


def oci_layout() -> dict[str, bytes | str]:
    files: dict[str, bytes | str] = {}

    def blob(content: bytes, **more: Any) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        files[f"blobs/sha256/{digest}"] = content
        return {"digest": f"sha256:{digest}", "size": len(content), **more}

    manifest = {"config": blob(as_json(CONFIG)), "layers": [blob(gzip.compress(LOWER)), blob(UPPER)]}
    attestation = blob(as_json({"layers": []}), platform={"os": "unknown", "architecture": "unknown"})
    index = blob(as_json({"manifests": [attestation, blob(as_json(manifest), platform={"os": "linux"})]}))
    files["index.json"] = as_json({"manifests": [index]})
    return files


def shared_layer() -> dict[str, bytes | str]:
    """Old engines store a layer once, and lead to it by a symlink."""
    files = docker_archive()
    files["zero/layer.tar"] = files.pop("one/layer.tar")
    return {**files, "one/layer.tar": "../zero/layer.tar"}


def blobs_of_new_engines() -> dict[str, bytes | str]:
    files = oci_layout()
    files.pop("index.json")
    config, lower, upper, *_ = files
    return {**files, "manifest.json": as_json([{"Config": config, "Layers": [lower, upper]}])}


@pytest.mark.parametrize(
    "files", [docker_archive(), shared_layer(), oci_layout(), blobs_of_new_engines()], ids=range(4)
)
def test_the_same_image_is_read_from_every_layout(files: dict[str, bytes | str]) -> None:
    tree = read_image(io.BytesIO(tarred(files)), "x")
    assert {path for path, entry in tree.entries.items() if entry.kind == "file"} == {
        "/etc/kept",
        "/etc/new",
        "/usr/bin/serve",
    }
    assert tree.read("/bin/serve", 99) == b"#!/bin/sh\n"
    assert tree.read("/etc/new", 99) == b"3"
    assert tree.config == ImageConfig(
        environment={"PATH": "/bin", "LD_LIBRARY_PATH": "/opt/lib"},
        entrypoint=("/bin/serve",),
        command=("--port", "8080"),
        user="65532",
        working_dir="/srv",
        architecture="arm64",
        labels={"org.opencontainers.image.revision": "abc"},
    )


def test_an_image_without_any_setting_has_the_defaults() -> None:
    bare = as_json({"config": {"Env": None, "Entrypoint": None, "Labels": None, "WorkingDir": ""}})
    tree = read_image(io.BytesIO(tarred(docker_archive(**{"c.json": bare}))), "x")
    assert tree.config == ImageConfig()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a": b""}, "neither manifest.json nor index.json"),
        ({"manifest.json": b"{"}, "manifest.json is not valid JSON"),
        ({"manifest.json": b"[" * 100_000}, "manifest.json is not valid JSON"),
        ({"manifest.json": b"{}"}, "manifest.json does not hold a list"),
        ({"manifest.json": b"[]"}, "names no configuration"),
        ({"manifest.json": b'[{"Config":"c","Layers":[1]}]'}, "names no configuration or no layers"),
        ({"manifest.json": b'[{"Config":"c"}]'}, "c is missing"),
        ({"manifest.json": b'[{"Config":"c"}]', "c": "d", "d": "c"}, "c is missing"),
        (docker_archive(**{"two/layer.tar": "../three/layer.tar"}), "two/layer.tar is missing"),
        (docker_archive(**{"two/layer.tar": UPPER[:700]}), "damaged or cut short"),
        ({"index.json": b"{}"}, "lists no image"),
        ({"index.json": b'{"layers": 1}'}, "lists no layers"),
        ({"index.json": b'{"layers": []}'}, "no digest"),
    ],
)
def test_a_broken_image_is_refused_in_words(files: dict[str, bytes | str], words: str) -> None:
    with pytest.raises(UnreadableTargetError, match=words):
        read_image(io.BytesIO(tarred(files)), "x")


def test_an_image_cut_short_at_every_512th_byte_is_refused_in_words() -> None:
    content = tarred(docker_archive())
    end = content.index(b"manifest.json")
    for length in range(0, end, 512):
        with pytest.raises(UnreadableTargetError):
            read_image(io.BytesIO(content[:length]), "x")
