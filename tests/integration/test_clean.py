"""Cleaning, on images of its own name and label: other images of the engine are not touched."""

import uuid
from collections.abc import Iterator

import pytest
from docker.errors import ImageNotFound

from images.build import INPUTS_LABEL
from images.clean import Stored, removal, remove, stored_images, used_images
from images.engine import Engine, Stage, build_stage

pytestmark = pytest.mark.engine

DOCKERFILE = b"""\
FROM scratch AS first
LABEL org.under48.stage=first
COPY file /file
FROM first AS image
COPY file /again
LABEL org.under48.stage=image
"""


@pytest.fixture
def mark(engine: Engine) -> Iterator[str]:
    """What names and labels of one test begin with."""
    name = f"test-{uuid.uuid4().hex}"
    yield name
    remove(engine, sorted(_own(engine, name), key=lambda image: -len(image.steps)))


def _own(engine: Engine, mark: str) -> list[Stored]:
    images = stored_images(engine, ours=f"{mark}/")
    return [image for image in images if image.labels.get("org.under48.test") == mark]


def _build(engine: Engine, mark: str, content: str) -> str:
    context = {
        "Dockerfile": DOCKERFILE + b"LABEL org.under48.test=" + mark.encode(),
        "file": content.encode(),
    }
    labels = {INPUTS_LABEL: content[:8], "org.under48.test": mark}
    return build_stage(engine, context, Stage(tag=f"{mark}/image:1", labels=labels))


def _there(engine: Engine, image: str) -> bool:
    try:
        engine.images.get(image)
    except ImageNotFound:
        return False
    return True


def _clean(engine: Engine, mark: str, *, everything: bool = False) -> list[str]:
    found = removal(_own(engine, mark), used_images(engine), everything=everything, ours=f"{mark}/")
    assert remove(engine, found.images) == []
    return [image.id for image in found.images]


def test_a_replaced_image_goes_and_the_one_that_replaced_it_only_with_everything(
    engine: Engine, mark: str
) -> None:
    older, newer = _build(engine, mark, "one" * 1000), _build(engine, mark, "two" * 1000)
    _clean(engine, mark)
    assert not _there(engine, older)
    assert _there(engine, newer)
    assert _clean(engine, mark) == []
    assert newer in _clean(engine, mark, everything=True)
    assert not _there(engine, newer)


def test_the_steps_of_what_is_current_stay_in_the_cache(engine: Engine, mark: str) -> None:
    older = _build(engine, mark, "one" * 1000)
    _build(engine, mark, "two" * 1000)
    kept = _build(engine, mark, "one" * 1000)
    _clean(engine, mark)
    assert _build(engine, mark, "one" * 1000) == kept == older


def test_what_a_container_was_made_from_stays(engine: Engine, mark: str) -> None:
    older = _build(engine, mark, "one")
    container = engine.containers.create(older, command=["-"])
    try:
        _build(engine, mark, "two")
        assert older not in _clean(engine, mark)
    finally:
        container.remove()
    _clean(engine, mark)
    assert not _there(engine, older)


def test_what_somebody_built_on_a_replaced_image_stays_and_so_does_that_image(
    engine: Engine, mark: str
) -> None:
    older = _build(engine, mark, "one")
    context = {"Dockerfile": b"ARG BASE\nFROM ${BASE}\nENV A=1\n"}
    theirs = build_stage(engine, context, Stage(arguments={"BASE": older}))
    _build(engine, mark, "two")
    assert not {older, theirs} & set(_clean(engine, mark))
    engine.images.remove(theirs, noprune=True)
    _clean(engine, mark)
    assert not _there(engine, older)
