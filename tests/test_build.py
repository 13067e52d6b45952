import fnmatch
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from docker.errors import ImageNotFound

from images import build
from images.architecture import named
from images.base import Base
from images.build import (
    ACTION_FOLDER,
    INPUTS_LABEL,
    REVISION_LABEL,
    SIZE_LABEL,
    Variant,
    _arguments,
    _context,
    _digest,
    _folder,
    _labels,
    _mirrored_sources,
    build_image,
)
from images.engine.context import _files, write_context
from images.errors import BuildFailed
from images.operators import BadModel, Operator
from images.sbom import Bill, Part
from model_fetch import load_catalog
from tests.tflite_bytes import Code, model

if TYPE_CHECKING:
    from images.engine import Engine

AMD64, ARM64 = named("amd64"), named("arm64")
OPERATORS = (Operator(builtin=3, version=1), Operator(builtin=32, version=1, custom="Detect"))
DOCKERFILE = (build.RECIPE / "Dockerfile").read_text().replace("\\\n", " ")


@pytest.fixture
def variant(tmp_path: Path) -> Variant:
    (tmp_path / "x.tflite").write_bytes(model([Code(builtin=3)]))
    (tmp_path / "labels.txt").write_text("background\npanda\n")
    return Variant(
        model=load_catalog().model("mobilenet_v1_0.25_224"),
        labels=load_catalog().labels_of(load_catalog().model("mobilenet_v1_0.25_224")),
        model_file=tmp_path / "x.tflite",
        labels_file=tmp_path / "labels.txt",
        architecture=AMD64,
        base=Base(image_id="sha256:1", reference="debian:x", digest="debian@sha256:2", how="pulled"),
    )


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    (tmp_path / "pillow-1-cp311.whl").write_bytes(b"PK")
    return tmp_path / "pillow-1-cp311.whl"


def _inputs(variant: Variant, wheel: Path) -> str:
    return _digest(_context(variant, OPERATORS, [wheel]), _arguments(variant))


def _write(path: Path, content: bytes = b"changed") -> None:
    path.write_bytes(content)


VARIANT_CHANGES: dict[str, Callable[[Variant, Path], Variant | None]] = {
    "the-model-file": lambda v, _w: _write(v.model_file),
    "the-labels": lambda v, _w: _write(v.labels_file),
    "a-wheel": lambda _v, w: _write(w),
    "what-the-model-is-fed": lambda v, _w: replace(v, model=replace(v.model, crop=0.5)),
    "the-architecture": lambda v, _w: replace(v, architecture=ARM64),
    "the-base": lambda v, _w: replace(v, base=replace(v.base, image_id="sha256:3")),
}


@pytest.mark.parametrize("change", VARIANT_CHANGES.values(), ids=VARIANT_CHANGES)
def test_the_inputs_change_with(
    variant: Variant, wheel: Path, change: Callable[[Variant, Path], Variant | None]
) -> None:
    before = _inputs(variant, wheel)
    assert _inputs(variant, wheel) == before
    assert _inputs(change(variant, wheel) or variant, wheel) != before


def test_the_inputs_change_with_every_part_of_the_context_and_every_argument(
    variant: Variant, wheel: Path
) -> None:
    context, arguments = _context(variant, OPERATORS, [wheel]), _arguments(variant)
    digests = {_digest(context, arguments)}
    for name in context:
        digests.add(_digest(context | {name: b"changed"}, arguments))
        digests.add(_digest({key: value for key, value in context.items() if key != name}, arguments))
    for name in arguments:
        digests.add(_digest(context, arguments | {name: "changed"}))
    assert len(digests) == 1 + 2 * len(context) + len(arguments)


def _age(folder: Path) -> None:
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))


def _cache(folder: Path) -> None:
    (folder / "__pycache__").mkdir()
    _write(folder / "__pycache__/x.pyc")


FOLDER_CHANGES: dict[str, tuple[Callable[[Path], object], bool]] = {
    "one-byte-of-a-file": (lambda f: _write(f / "patches/tensorflow-keep-dims.patch"), True),
    "a-new-file": (lambda f: _write(f / "patches/tensorflow-more.patch"), True),
    "a-removed-file": (lambda f: (f / "ruy_compat.c").unlink(), True),
    "a-renamed-file": (lambda f: (f / "jpeg.h").rename(f / "jpeg2.h"), True),
    "a-time": (_age, False),
    "byte-code": (_cache, False),
    "an-empty-folder": (lambda f: (f / "nothing").mkdir(), False),
}


@pytest.mark.parametrize(("change", "changes"), FOLDER_CHANGES.values(), ids=FOLDER_CHANGES)
def test_the_inputs_change_with_the_recipes_files_and_not_with_their_circumstances(
    tmp_path: Path, *, change: Callable[[Path], object], changes: bool
) -> None:
    recipe = tmp_path / "recipe"
    shutil.copytree(build.RECIPE, recipe, ignore=shutil.ignore_patterns("__pycache__"))
    before = _digest(_folder("recipe", recipe), {})
    change(recipe)
    assert (_digest(_folder("recipe", recipe), {}) != before) is changes


def test_moving_bytes_from_one_file_to_the_next_changes_the_inputs() -> None:
    assert _digest({"a": b"12", "b": b"3"}, {}) != _digest({"a": b"1", "b": b"23"}, {})


def _copied() -> list[str]:
    """What the Dockerfile's COPY instructions take from the context."""
    sources = []
    for words in re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE):
        if not words.startswith("--from="):
            sources += words.split()[:-1]
    return sources


def _matches(name: str, source: str) -> bool:
    return name.startswith(source) if source.endswith("/") else fnmatch.fnmatchcase(name, source)


def test_everything_that_the_dockerfile_copies_is_in_the_context(variant: Variant, wheel: Path) -> None:
    names = [name for name, _ in _files(_context(variant, OPERATORS, [wheel]))]
    missing = [source for source in _copied() if not any(_matches(name, source) for name in names)]
    assert len(_copied()) > 10
    assert missing == ["sbom/"], "which is made of what the stages before hold"


def test_the_dockerfile_copies_everything_that_is_in_the_context(variant: Variant, wheel: Path) -> None:
    names = {name for name, _ in _files(_context(variant, OPERATORS, [wheel]))}
    unused = {name for name in names if not any(_matches(name, source) for source in _copied())}
    assert unused == {"recipe/Dockerfile", "recipe/requirements.lock"}


def test_the_dockerfile_takes_exactly_the_arguments_that_it_is_given(variant: Variant) -> None:
    assert set(re.findall(r"^ARG (\w+)", DOCKERFILE, re.MULTILINE)) == set(_arguments(variant))


def test_the_action_lies_where_it_is_read_from() -> None:
    assert f"COPY model/ {ACTION_FOLDER}/" in DOCKERFILE


def test_the_auditor_in_the_context_needs_nothing_that_the_stage_lacks(
    tmp_path: Path, variant: Variant, wheel: Path
) -> None:
    """assemble.py runs it with Debian's python3, which has the standard library and this folder."""
    with tempfile.TemporaryFile() as file:
        write_context(_context(variant, OPERATORS, [wheel]), file)
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            archive.extractall(tmp_path, filter="data")
    done = subprocess.run(
        [sys.executable, "-S", "-m", "audit.closure", "--help"],
        env={"PYTHONPATH": str(tmp_path / "auditor")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_build_is_told_the_operators_and_how_to_feed_the_model(variant: Variant) -> None:
    context = _context(variant, OPERATORS, [])
    assert json.loads(cast("bytes", context["operators/operators.json"])) == [
        {"builtin": 3, "version": 1, "custom": None},
        {"builtin": 32, "version": 1, "custom": "Detect"},
    ]
    assert json.loads(cast("bytes", context["model/model.json"])) == {
        "name": "mobilenet_v1_0.25_224",
        "crop": 0.875,
        "input_range": [-1, 1],
        "output": "probabilities",
        "label_offset": 0,
        "crc32": zlib.crc32(variant.model_file.read_bytes()),
    }


def test_the_labels_say_what_is_in_the_image_and_what_it_is_made_from(variant: Variant) -> None:
    facts = {"operators.txt": b"ADD\nCONV_2D\n"}
    image = Part(
        ref="image", kind="application", name="x", licence="Apache-2.0 AND Zlib", licence_texts=("/LICENSE",)
    )
    libc = Part(
        ref="deb:libc6", kind="library", name="libc6", version="2.36-9", licence="MIT", licence_texts=()
    )
    labels = _labels(variant, Bill(image=image, parts=(libc,), made_at=1), facts)
    assert labels.pop("org.opencontainers.image.revision")
    assert re.fullmatch(r"[0-9a-f]{64}", labels.pop("org.under48.model.sha256"))
    assert re.fullmatch(r"\d+\.\d+\.\d+", labels.pop("org.opencontainers.image.version"))
    assert labels == {
        "org.opencontainers.image.title": "under48 classify mobilenet_v1_0.25_224",
        "org.opencontainers.image.description": "An image classifier as an Apache OpenWhisk action",
        "org.opencontainers.image.licenses": "Apache-2.0 AND Zlib",
        "org.opencontainers.image.base.name": "debian:x",
        "org.opencontainers.image.base.digest": "debian@sha256:2",
        "org.under48.model": "mobilenet_v1_0.25_224",
        "org.under48.operators": "ADD CONV_2D",
        "org.under48.architecture": "amd64",
        "org.under48.versions": "glibc 2.36",
    }


def test_outside_of_a_checkout_the_revision_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert build._revision() == "unknown"
    monkeypatch.setenv("PATH", "")
    assert build._revision() == "unknown"


def test_each_source_comes_from_the_first_mirror_that_has_it(tmp_path: Path) -> None:
    rows = tomllib.loads((build.RECIPE / "sources.toml").read_text())["source"]
    first, second = (f"pool/main/{row['pool']}" for row in rows[:2])
    for mirror, names in (("one", [first]), ("two", [first, second])):
        for name in names:
            (tmp_path / mirror / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / mirror / name).write_text(mirror)
    mirrors = [tmp_path / "nothing", tmp_path / "one", tmp_path / "two"]
    assert _mirrored_sources(mirrors, AMD64) == {
        f"mirror/{first}": tmp_path / "one" / first,
        f"mirror/{second}": tmp_path / "two" / second,
    }


def test_the_sources_of_another_architecture_are_left_in_the_mirror(tmp_path: Path) -> None:
    rows = tomllib.loads((build.RECIPE / "sources.toml").read_text())["source"]
    for row in rows:
        (tmp_path / "pool/main" / row["pool"]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pool/main" / row["pool"]).touch()
    for_arm = {row["pool"] for row in rows if row.get("arch") == "arm64"}
    assert for_arm, "the table has such rows"
    taken = {name.removeprefix("mirror/pool/main/") for name in _mirrored_sources([tmp_path], AMD64)}
    assert taken == {row["pool"] for row in rows} - for_arm


class OneImage:
    """Stands for an engine that has one image, at most, and refuses to build."""

    def __init__(self, labels: Mapping[str, str] | None) -> None:
        self.images = self
        self.is_podman = True  # so that no buildx is asked for
        self.api = SimpleNamespace(base_url="http://engine", api_version="1.41", post=self._refuse)
        self._labels = labels

    def version(self) -> dict[str, str]:
        return {"Arch": "amd64"}

    def get(self, tag: str) -> SimpleNamespace:
        if self._labels is None:
            raise ImageNotFound(tag)
        return SimpleNamespace(id="sha256:9", labels=self._labels)

    def _refuse(self, *_args: object, **_options: object) -> SimpleNamespace:
        return SimpleNamespace(
            status_code=500, close=lambda: None, json=lambda: {"message": "this engine builds nothing"}
        )


def _cached_wheels(variant: Variant, cache: Path) -> Path:
    """Puts no wheels where the build looks for them, so that it need not ask pip."""
    key = hashlib.sha256(
        (build.RECIPE / "requirements.lock").read_bytes() + variant.architecture.name.encode()
    ).hexdigest()
    (cache / "wheels" / key[:16]).mkdir(parents=True)
    return cache


def test_an_image_of_the_same_inputs_is_found_and_not_built(tmp_path: Path, variant: Variant) -> None:
    cache = _cached_wheels(variant, tmp_path / "cache")
    inputs = build._inputs(_context(variant, [Operator(builtin=3, version=1)], []), _arguments(variant))
    labels = {
        INPUTS_LABEL: inputs,
        REVISION_LABEL: build._revision(),
        SIZE_LABEL: "5",
        "org.under48.operators": "ADD CONV_2D",
    }
    image = build_image(cast("Engine", OneImage(labels)), variant, cache=cache)
    assert (image.id, image.tag, image.size, image.fresh, image.operators) == (
        "sha256:9",
        "under48/classify:mobilenet_v1_0.25_224-amd64",
        5,
        False,
        ("ADD", "CONV_2D"),
    )


@pytest.mark.parametrize("labels", [None, {}, {INPUTS_LABEL: "0"}], ids=["none", "of-another-hand", "older"])
def test_an_image_of_other_inputs_is_built_again(
    tmp_path: Path, variant: Variant, labels: Mapping[str, str] | None
) -> None:
    engine = cast("Engine", OneImage(labels))
    with pytest.raises(BuildFailed, match="this engine builds nothing"):
        build_image(engine, variant, cache=_cached_wheels(variant, tmp_path / "cache"))


def test_an_image_of_another_commit_is_labelled_again(tmp_path: Path, variant: Variant) -> None:
    inputs = build._inputs(_context(variant, [Operator(builtin=3, version=1)], []), _arguments(variant))
    engine = cast("Engine", OneImage({INPUTS_LABEL: inputs, REVISION_LABEL: "0" * 40}))
    with pytest.raises(BuildFailed, match="this engine builds nothing"):
        build_image(engine, variant, cache=_cached_wheels(variant, tmp_path / "cache"))


def test_a_damaged_model_ends_the_build_before_anything_is_asked_of_the_engine(variant: Variant) -> None:
    variant.model_file.write_bytes(b"<html>")
    with pytest.raises(BadModel):
        build_image(cast("Engine", None), variant, cache=Path("/nonexistent"))
