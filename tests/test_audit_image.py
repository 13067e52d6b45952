"""Saved images in the layouts of old and new engines, and what is wrong with broken ones."""

import gzip
import hashlib
import io
import json
import lzma
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import audit
from audit.errors import UnreadableTargetError
from audit.readers.image import read_image
from audit.tree import ImageConfig
from tests.packed import PACK

Files = dict[str, bytes | str]  # a symlink's content is text
IMAGE_CONFIG = "application/vnd.oci.image.config.v1+json"
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


def tarred(files: Files) -> bytes:
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


def docker_archive(**more: bytes | str) -> Files:
    return {
        "c.json": as_json(CONFIG),
        "one/layer.tar": LOWER,
        "two/layer.tar": UPPER,
        "manifest.json": as_json([{"Config": "c.json", "Layers": ["one/layer.tar", "two/layer.tar"]}]),
        **more,
    }


def blob(files: Files, content: bytes, **more: Any) -> dict[str, Any]:
    """Add a blob to the files of an OCI layout, and give its descriptor."""
    digest = hashlib.sha256(content).hexdigest()
    files[f"blobs/sha256/{digest}"] = content
    return {"digest": f"sha256:{digest}", "size": len(content), **more}


def manifest(
    files: Files, *layers: bytes, config: object = CONFIG, kind: str = IMAGE_CONFIG, **more: Any
) -> bytes:
    """Give the manifest of an image of these layers, whose blobs it adds."""
    return as_json(
        {
            "config": blob(files, as_json(config), mediaType=kind),
            "layers": [blob(files, layer) for layer in layers],
            **more,
        }
    )


def layout(files: Files, *manifests: dict[str, Any]) -> Files:
    return {
        **files,
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": as_json({"manifests": manifests}),
    }


def platform(os: str, architecture: str, **more: Any) -> dict[str, Any]:
    return {"platform": {"os": os, "architecture": architecture}, **more}


def oci_layout(pack: Callable[[bytes], bytes] = gzip.compress) -> Files:
    files: Files = {}
    image = manifest(files, pack(LOWER), UPPER)
    attestation = blob(files, as_json({"layers": []}), **platform("unknown", "unknown"))
    index = as_json({"manifests": [attestation, blob(files, image, platform={"os": "linux"})]})
    return layout(files, blob(files, index))


def shared_layer() -> Files:
    """Old engines store a layer once, and lead to it by a symlink."""
    files = docker_archive()
    files["zero/layer.tar"] = files.pop("one/layer.tar")
    return {**files, "one/layer.tar": "../zero/layer.tar"}


def blobs_of_new_engines() -> Files:
    files: Files = {}
    manifest(files, gzip.compress(LOWER), UPPER)
    config, lower, upper = files
    return {**files, "manifest.json": as_json([{"Config": config, "Layers": [lower, upper]}])}


def written(files: Files, folder: Path) -> Path:
    """Write the files into a folder."""
    for name, content in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            place.symlink_to(content)
        else:
            place.write_bytes(content)
    return folder


def in_tar(files: Files, folder: Path) -> Path:
    (folder / "x.tar").write_bytes(tarred(files))
    return folder / "x.tar"


def in_packed_tar(files: Files, folder: Path) -> Path:
    (folder / "x.tar.xz").write_bytes(lzma.compress(tarred(files)))
    return folder / "x.tar.xz"


LAYOUTS = {
    "docker-archive": docker_archive(),
    "shared-layer": shared_layer(),
    "blobs-of-new-engines": blobs_of_new_engines(),
    **{f"oci-{name}": oci_layout(pack) for name, pack in PACK.items()},
    "oci-plain": oci_layout(bytes),
}


@pytest.mark.parametrize("store", [written, in_tar, in_packed_tar])
@pytest.mark.parametrize("files", LAYOUTS.values(), ids=LAYOUTS)
def test_the_same_image_is_read_from_every_layout(
    files: Files, store: Callable[[Files, Path], Path], tmp_path: Path
) -> None:
    tree = audit.read(store(files, tmp_path))
    assert tree.form == "image"
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


@pytest.mark.parametrize("store", [written, in_tar])
@pytest.mark.parametrize(
    "files",
    [
        {"manifest.json": b'{"manifest_version": 3, "name": "an extension of a browser"}', "a.js": b""},
        {"manifest.json": b'["a.js"]', "a.js": b""},
        {"index.json": b'{"packages": []}'},
    ],
)
def test_a_manifest_of_something_else_makes_no_image(
    files: Files, store: Callable[[Files, Path], Path], tmp_path: Path
) -> None:
    assert audit.read(store(files, tmp_path)).form in ("folder", "tar")


def platforms() -> tuple[Files, list[dict[str, Any]]]:
    """An image for several platforms: the architecture says in a file which one it is."""
    files: Files = {}
    listed = [blob(files, manifest(files, tarred({"a": b"?"})), **platform("unknown", "unknown"))]
    for pair in (("windows", "amd64"), ("linux", "s390x"), ("linux", "amd64"), ("linux", "arm64")):
        image = manifest(files, tarred({"which": " ".join(pair).encode()}))
        listed.append(blob(files, image, **platform(*pair)))
    return files, listed


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(
    ("wanted", "read"), [("amd64", "amd64"), ("arm64", "arm64"), ("riscv64", "s390x"), ("", "s390x")]
)
def test_of_several_platforms_that_wanted_is_read_else_the_first_with_linux(
    wanted: str,
    read: str,
    nested: bool,  # noqa: FBT001
    tmp_path: Path,
) -> None:
    files, listed = platforms()
    index = [blob(files, as_json({"manifests": listed}))] if nested else listed
    tree = audit.read(written(layout(files, *index), tmp_path), wanted)
    assert tree.read("/which", 99) == f"linux {read}".encode()


def test_of_several_platforms_one_that_was_saved_is_read(tmp_path: Path) -> None:
    """A containerd engine saves the whole index, and the blobs of the platforms that it has."""
    files, listed = platforms()
    for descriptor in listed[:4]:
        del files["blobs/" + descriptor["digest"].replace(":", "/")]
    assert audit.read(in_tar(layout(files, *listed), tmp_path), "amd64").read("/which", 99) == b"linux arm64"


def test_of_several_images_the_first_is_read(tmp_path: Path) -> None:
    files: Files = {}
    listed = [
        blob(
            files,
            manifest(files, tarred({name: b""})),
            annotations={"org.opencontainers.image.ref.name": name},
        )
        for name in ("one", "two")
    ]
    signature = blob(files, manifest(files), artifactType="application/vnd.dev.cosign.artifact.sig.v1+json")
    tree = audit.read(written(layout(files, signature, *listed), tmp_path))
    assert set(tree.entries) == {"/", "/one"}


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("application/vnd.cncf.helm.config.v1+json", {}),
        ("application/vnd.oci.empty.v1+json", {}),
        ("application/vnd.oci.empty.v1+json", {"artifactType": "application/vnd.example+type"}),
        (IMAGE_CONFIG, {"artifactType": "application/spdx+json"}),
    ],
)
def test_an_artifact_that_is_no_image_is_refused_in_words(
    kind: str, more: dict[str, str], tmp_path: Path
) -> None:
    files: Files = {}
    chart = manifest(files, gzip.compress(LOWER), config={}, kind=kind, **more)
    with pytest.raises(
        UnreadableTargetError, match=r"holds an artifact of the type 'application/.*', not an image"
    ):
        audit.read(written(layout(files, blob(files, chart)), tmp_path))


def odd_blob(folder: Path, make: Callable[[Path], object]) -> Path:
    """Put something else in the place of the upper layer."""
    files: Files = {}
    place = "blobs/sha256/" + hashlib.sha256(UPPER).hexdigest()
    written(layout(files, blob(files, manifest(files, LOWER, UPPER))), folder)
    (folder / place).unlink()
    make(folder / place)
    return folder


@pytest.mark.parametrize(
    "make",
    [
        os.mkfifo,
        Path.mkdir,
        lambda place: place.symlink_to("/etc/passwd"),
        lambda place: place.symlink_to("../../../outside.tar"),
        lambda place: place.symlink_to(place.name),
        lambda _: None,
    ],
    ids=["fifo", "folder", "link-out", "link-up", "link-loop", "nothing"],
)
def test_a_blob_is_a_regular_file_of_the_folder(make: Callable[[Path], object], tmp_path: Path) -> None:
    (tmp_path / "outside.tar").write_bytes(UPPER)
    (tmp_path / "layout").mkdir()
    with pytest.raises(UnreadableTargetError, match=r"blobs/sha256/[0-9a-f]{64} is missing"):
        audit.read(odd_blob(tmp_path / "layout", make))


def test_a_blob_may_be_a_symlink_to_another_file_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "upper.tar").write_bytes(UPPER)
    tree = audit.read(odd_blob(tmp_path, lambda place: place.symlink_to("../../upper.tar")))
    assert tree.read("/etc/new", 9) == b"3"


@pytest.mark.parametrize(
    "digest",
    [
        "sha256:../../etc/passwd",
        "sha256:..",
        "../../etc:passwd",
        "sha256:/etc/passwd",
        "sha256:\ud800",
        "sha256:",
        ":a",
        7,
    ],
)
@pytest.mark.parametrize("store", [written, in_tar])
def test_a_digest_that_leads_elsewhere_is_refused_in_words(
    digest: object, store: Callable[[Files, Path], Path], tmp_path: Path
) -> None:
    place = store(layout({}, {"digest": digest}), tmp_path)
    with pytest.raises(UnreadableTargetError, match="a descriptor has no digest"):
        audit.read(place)


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/hostname", "a/../../secret", "\ud800", "", ".", "a\0b", "n" * 5000]
)
def test_a_docker_archive_in_a_folder_names_no_file_outside_of_it(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"{}")
    folder = written({"manifest.json": as_json([{"Config": name, "Layers": []}])}, tmp_path / "image")
    with pytest.raises(UnreadableTargetError, match="is missing"):
        audit.read(folder)


def test_an_index_without_end_is_refused_in_words(tmp_path: Path) -> None:
    many = [{"digest": f"sha256:{number}"} for number in range(100_000)]
    with pytest.raises(UnreadableTargetError, match="blobs/sha256/0 is missing"):
        audit.read(written(layout({}, *many), tmp_path))
    itself = layout(
        {"blobs/sha256/a": as_json({"manifests": [{"digest": "sha256:a"}]})}, {"digest": "sha256:a"}
    )
    with pytest.raises(UnreadableTargetError, match="its manifest lists no layers"):
        audit.read(in_tar(itself, tmp_path))


@pytest.mark.parametrize("content", [b"no tar", b"\0" * 511, gzip.compress(b"no tar"), b"(encrypted)" * 99])
def test_a_layer_that_is_no_tar_is_refused_by_its_name(content: bytes, tmp_path: Path) -> None:
    files: Files = {}
    folder = written(layout(files, blob(files, manifest(files, LOWER, content))), tmp_path)
    with pytest.raises(
        UnreadableTargetError, match=r"cannot read layer blobs/sha256/[0-9a-f]{64} of .* as a tar"
    ):
        audit.read(folder)


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
def test_a_broken_image_is_refused_in_words(files: Files, words: str) -> None:
    with pytest.raises(UnreadableTargetError, match=words):
        read_image(io.BytesIO(tarred(files)), "x")


def test_an_image_cut_short_at_every_512th_byte_is_refused_in_words() -> None:
    content = tarred(docker_archive())
    end = content.index(b"manifest.json")
    for length in range(0, end, 512):
        with pytest.raises(UnreadableTargetError):
            read_image(io.BytesIO(content[:length]), "x")
