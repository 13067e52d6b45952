"""Builds the image of one model for one architecture: its context, its builds, its labels."""

import hashlib
import json
import os
import subprocess
import tomllib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import elftools
from docker.errors import ImageNotFound
from docker.models.images import Image as StoredImage

import audit
from images.architecture import Architecture
from images.base import Base
from images.engine import Engine, Report, Stage, build_stage
from images.extract import read_folder, saved
from images.imports import imported_files
from images.operators import Operator, read_operators
from images.sbom import Bill, Subject, bill_of
from images.wheels import fetch_wheels
from model_fetch import Labels, Model

ROOT = Path(__file__).parent.parent
RECIPE = ROOT / "images/native"
ACTION_FOLDER = "/under48/action"
EPOCH = 1700000000  # SOURCE_DATE_EPOCH: every file in the image has this time, so that equal builds are equal
SBOM_FOLDER = "/under48/sbom"
SBOM = "image.cdx.json"  # by the end of its name scanners find it
INPUTS_LABEL = "org.under48.inputs"  # on the image and on the last layers of the stages it comes from
STAGE_LABEL = "org.under48.stage"  # the Dockerfile sets it first of all, so that each step's image has it
SIZE_LABEL = "org.under48.size"  # bytes of all layers, unpacked: engines count that each in its own way
REVISION_LABEL = "org.opencontainers.image.revision"


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """What an image is built for and from."""

    model: Model
    labels: Labels
    model_file: Path
    labels_file: Path
    architecture: Architecture
    base: Base
    refreshed: str = ""  # when newer packages were last asked for; the same as before: those of the cache

    @property
    def tag(self) -> str:
        """The image's name in the engine."""
        return f"under48/classify:{self.model.name}-{self.architecture.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """An image that is in the engine; `size` in bytes, unpacked."""

    id: str
    tag: str
    size: int
    labels: Mapping[str, str]
    fresh: bool  # built just now, not found

    @property
    def operators(self) -> tuple[str, ...]:
        """The operators of TensorFlow Lite that were compiled in."""
        return tuple(self.labels.get("org.under48.operators", "").split())


def build_image(
    engine: Engine,
    variant: Variant,
    *,
    cache: Path,
    mirrors: Sequence[Path] = (),
    report: Report = lambda _step: None,
) -> Image:
    """The image of `variant`: the one that is there when nothing it is made from has changed, else a new one.

    `cache` keeps the wheels; `mirrors` are folders that may hold sources under pool/main/….

    Raises:
        BadModel: the model file is damaged.
        BuildFailed: a step failed, or TensorFlow Lite does not know one of the model's operators.
    """
    operators = read_operators(variant.model_file.read_bytes())
    wheels = fetch_wheels(RECIPE / "requirements.lock", variant.architecture, cache)
    context = _context(variant, operators, wheels)
    arguments = _arguments(variant)
    inputs = _inputs(context, arguments)
    if found := _find(engine, variant.tag, inputs):
        return found
    context |= _mirrored_sources(mirrors, variant.architecture)

    def build(target: str, network: str = "none", **options: Any) -> str:
        # Behind a proxy apt needs to know it; Docker keeps these arguments out of images and of its cache's keys.
        proxies = _proxies(os.environ) if network != "none" else {}
        stage = Stage(
            dockerfile="recipe/Dockerfile",
            target=target,
            network=network,
            arguments=arguments | proxies,
            **options,
        )
        return build_stage(engine, context, stage, report)

    made_from = {INPUTS_LABEL: inputs}
    # apt needs the host's way out: its proxy or mirror may be on loopback.
    build("packages", "host", cache_only=True)
    build("fetched", "host", labels=made_from, cache_only=True)
    build("compile", labels=made_from, cache_only=True)
    build("rootfs", labels=made_from, cache_only=True)
    facts = read_folder(engine, build("facts", labels=made_from), "/out")
    with saved(engine, build("contents", labels=made_from)) as file:
        contents = audit.read_image(file, variant.tag)
        bill = bill_of(contents, _subject(variant))
    sbom = bill.as_cyclonedx()
    context[f"sbom/{SBOM}"] = sbom
    size = sum(layer.size for layer in contents.layers) + len(sbom)
    labels = {**_labels(variant, bill, facts), INPUTS_LABEL: inputs, SIZE_LABEL: str(size)}
    image_id = build("image", labels=labels, tag=variant.tag)
    return _image(engine.images.get(image_id), variant.tag, fresh=True)


def _subject(variant: Variant) -> Subject:
    return Subject(
        tag=variant.tag,
        model=variant.model,
        labels=variant.labels,
        architecture=variant.architecture.debian,
        made_at=EPOCH,
    )


def _proxies(environ: Mapping[str, str]) -> dict[str, str]:
    names = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy")
    return {name: value for name, value in environ.items() if name.lower() in names}


def _context(
    variant: Variant, operators: Sequence[Operator], wheels: Sequence[Path]
) -> dict[str, bytes | Path]:
    wanted = [{"builtin": o.builtin, "version": o.version, "custom": o.custom} for o in operators]
    auditor = imported_files(ROOT, "audit.closure")
    return {
        **_folder("recipe", RECIPE),
        "operators/operators.json": json.dumps(wanted).encode(),
        "model/model.tflite": variant.model_file,
        "model/labels.txt": variant.labels_file,
        "model/model.json": _model_json(variant.model, variant.model_file.read_bytes()),
        **_folder("action", ROOT / "action", "*.py"),
        **_folder("runtime", ROOT / "images/runtime", "*.py"),
        **{f"auditor/{path.relative_to(ROOT).as_posix()}": path.read_bytes() for path in auditor},
        **_folder("auditor/elftools", Path(elftools.__file__).parent),
        "notices/LICENSE": (ROOT / "LICENSE").read_bytes(),
        "notices/NOTICE": (ROOT / "NOTICE").read_bytes(),
        **{f"wheels/{wheel.name}": wheel for wheel in wheels},
        "mirror/README": b"sources that a mirror had when this was built\n",
    }


def _folder(name: str, folder: Path, pattern: str = "*") -> dict[str, bytes]:
    """A folder's files, read once: all builds of one image see the same, whatever is edited meanwhile."""
    files = (path for path in folder.rglob(pattern) if path.is_file() and "__pycache__" not in path.parts)
    return {f"{name}/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in files}


def _model_json(model: Model, file: bytes) -> bytes:
    description = {
        "name": model.name,
        "crop": model.crop,
        "input_range": list(model.input_range),
        "output": model.output,
        "label_offset": model.labels_offset,
        "crc32": zlib.crc32(file),  # tells a damaged file; who means harm would change this, too
    }
    return json.dumps(description, indent=1).encode() + b"\n"


def _arguments(variant: Variant) -> dict[str, str]:
    target = variant.architecture
    return {
        "BASE": variant.base.image_id,
        "ARCH": target.debian,
        "TRIPLET": target.triplet,
        "PROCESSOR": target.cmake_processor,
        "REFRESHED": variant.refreshed,
        "SOURCE_DATE_EPOCH": str(EPOCH),
    }


def _inputs(context: Mapping[str, bytes | Path], arguments: Mapping[str, str]) -> str:
    """A digest of everything that an image is made from: the build's, and what writes the bill of materials."""
    return _digest({**context, **_folder("sbom", ROOT / "images/sbom")}, arguments)


def _digest(context: Mapping[str, bytes | Path], arguments: Mapping[str, str]) -> str:
    """One SHA-256 over names and contents."""
    total = hashlib.sha256(json.dumps(arguments, sort_keys=True).encode())
    for name, source in sorted(context.items()):
        content = source if isinstance(source, bytes) else source.read_bytes()
        total.update(f"{name}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()


def _mirrored_sources(mirrors: Sequence[Path], architecture: Architecture) -> dict[str, Path]:
    rows = tomllib.loads((RECIPE / "sources.toml").read_text())["source"]
    pools = [
        f"pool/main/{row['pool']}"
        for row in rows
        if row.get("arch", architecture.debian) == architecture.debian
    ]
    return {
        f"mirror/{pool}": mirror / pool
        for mirror in reversed(mirrors)  # so that the first one that has it wins
        for pool in pools
        if (mirror / pool).is_file()
    }


def _labels(variant: Variant, bill: Bill, facts: Mapping[str, bytes]) -> dict[str, str]:
    """OCI annotations (image-spec, annotations.md) and our own."""
    model, base = variant.model, variant.base
    return {
        "org.opencontainers.image.title": f"under48 classify {model.name}",
        "org.opencontainers.image.description": "An image classifier as an Apache OpenWhisk action",
        "org.opencontainers.image.licenses": bill.licence,
        "org.opencontainers.image.version": tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
            "version"
        ],
        REVISION_LABEL: _revision(),
        "org.opencontainers.image.base.name": base.reference,
        "org.opencontainers.image.base.digest": base.digest,
        "org.under48.model": model.name,
        "org.under48.model.sha256": hashlib.sha256(variant.model_file.read_bytes()).hexdigest(),
        "org.under48.operators": facts["operators.txt"].decode().replace("\n", " ").strip(),
        "org.under48.architecture": variant.architecture.name,
        "org.under48.versions": bill.versions,
    }


def _revision() -> str:
    """The commit that is checked out, "-dirty" when files differ from it; "unknown" outside of a checkout."""
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"],
            check=True,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def _find(engine: Engine, tag: str, inputs: str) -> Image | None:
    try:
        found = engine.images.get(tag)
    except ImageNotFound:
        return None
    # After a commit only the labels are made again.
    current = {INPUTS_LABEL: inputs, REVISION_LABEL: _revision()}
    if SIZE_LABEL not in found.labels or not current.items() <= found.labels.items():
        return None
    return _image(found, tag, fresh=False)


def _image(stored: StoredImage, tag: str, *, fresh: bool) -> Image:
    size = int(stored.labels[SIZE_LABEL])
    return Image(id=str(stored.id), tag=tag, size=size, labels=stored.labels, fresh=fresh)
