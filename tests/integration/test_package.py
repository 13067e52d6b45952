"""The zip: made twice it is the same, it runs where the platform would unpack it, and the auditor agrees."""

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

import audit
from cli.auditing import audit_built
from cli.pipeline import Pipeline
from images.build import ACTION_FOLDER, Image
from images.extract import read_folder, saved
from images.package import zip_bytes
from tests.integration.inside import Initialized, encoded

pytestmark = pytest.mark.engine

PLATFORM_BYTES = 36 << 20  # of a zip: 48 MiB of base64 (exec size limit of Apache OpenWhisk)


@pytest.fixture(scope="module")
def runtime(engine: docker.DockerClient, image: Image) -> Iterator[audit.Tree]:
    with saved(engine, image.id) as file:
        yield audit.read_image(file, image.tag)


def test_it_is_the_same_bytes_each_time_and_small_enough(
    engine: docker.DockerClient, image: Image, pipeline: Pipeline
) -> None:
    again = zip_bytes(read_folder(engine, image.id, ACTION_FOLDER))
    assert pipeline.package.read_bytes() == again
    assert len(again) < PLATFORM_BYTES


def test_it_has_everything_that_the_built_in_action_has(pipeline: Pipeline) -> None:
    with zipfile.ZipFile(pipeline.package) as archive:
        names = set(archive.namelist())
        assert archive.read("model.tflite") == pipeline.fetch(pipeline.model.name)[0].read_bytes()
    assert {"__main__.py", "classifier/native.py", "libunder48.so", "model.json", "labels.txt"} <= names
    assert "PIL/Image.py" in names


@pytest.mark.parametrize("photo", ["panda.jpg", "coffee.png"])  # decoded natively, and by Pillow
def test_sent_to_init_as_the_platform_sends_it_it_answers_as_the_built_in_action(
    image: Image, pipeline: Pipeline, initialized: Initialized, photos: dict[str, Path], photo: str
) -> None:
    value = {"image": encoded(photos[photo])}
    with initialized(image.id) as built_in:
        wanted = built_in.run(value)
    code = base64.b64encode(pipeline.package.read_bytes()).decode()
    # Not hardened: where the root is read-only, /dev/shm is all that can be written to, and libraries in it not loaded.
    with initialized(image.id, hardened=False, code=code, binary=True) as unpacked:
        answer = unpacked.run(value)
    assert answer.body == wanted.body
    best = json.loads(answer.body)["results"][0]["className"]
    assert best in pipeline.catalog.sample(photo).accepted


def test_the_auditor_finds_nothing_wrong_with_image_and_zip(pipeline: Pipeline) -> None:
    for analysis, findings, _ in audit_built(pipeline):
        assert [f for f in findings if f.severity > audit.Severity.NOTE] == [], analysis.target.name
        assert len(analysis.elves) > 10


def without(package: Path, start: str) -> tuple[str, bytes]:
    """The zip with the one file left out whose name begins so, and that file's name."""
    with zipfile.ZipFile(package) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    (lost,) = (name for name in files if name.startswith(start))
    del files[lost]
    return lost, zip_bytes(files)


@pytest.mark.parametrize("library", ["pillow.libs/libtiff", "pillow.libs/libsharpyuv"])
def test_the_auditor_names_a_library_that_is_missing_from_the_zip(
    pipeline: Pipeline, runtime: audit.Tree, library: str
) -> None:
    lost, content = without(pipeline.package, library)
    tree = audit.read_zip(io.BytesIO(content), "broken.zip")
    findings = audit.check(audit.analyse(tree, runtime=runtime))
    assert audit.exit_status(findings) == 1
    errors = [finding for finding in findings if finding.severity is audit.Severity.ERROR]
    assert {error.rule for error in errors} == {"unresolved-needed"}
    assert all(Path(lost).name in error.message for error in errors)
