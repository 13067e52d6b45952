"""Cleaning, on images of its own name and label: other images of the engine are not touched."""

import uuid
from collections.abc import Iterator

import docker
import pytest
from docker.errors import ImageNotFound

from images.clean import removal, remove, stored_images, used_images
from images.docker_build import build_stage

pytestmark = pytest.mark.engine


@pytest.fixture
def label(engine: docker.DockerClient) -> Iterator[str]:
    name = f"org.under48.test-{uuid.uuid4().hex}"
    yield name
    for image in engine.images.list(filters={"label": name}):
        engine.images.remove(str(image.id), force=True)


def _build(engine: docker.DockerClient, label: str, content: str) -> str:
    context = {"Dockerfile": b'FROM scratch\nCOPY file /file\nCMD ["/file"]\n', "file": content.encode()}
    labels = {"org.under48.after": "", label: content, "org.under48.version": ""}  # a build step for each
    return build_stage(engine, context, tag=f"{label.rpartition('.')[2]}/image:1", labels=labels)


def _there(engine: docker.DockerClient, image: str) -> bool:
    try:
        engine.images.get(image)
    except ImageNotFound:
        return False
    return True


def _clean(engine: docker.DockerClient, label: str, *, everything: bool = False) -> list[str]:
    ours = f"{label.rpartition('.')[2]}/"
    found = removal(
        stored_images(engine, label=label), used_images(engine), everything=everything, label=label, ours=ours
    )
    assert remove(engine, found.images) == []
    return [image.id for image in found.images]


def test_a_replaced_image_goes_with_its_steps_and_the_one_that_replaced_it_only_with_everything(
    engine: docker.DockerClient, label: str
) -> None:
    older, newer = _build(engine, label, "one" * 1000), _build(engine, label, "two" * 1000)
    steps = {image.id: image.parent for image in stored_images(engine)}
    assert _clean(engine, label) == [older]
    assert not _there(engine, older)
    assert not _there(engine, steps[older])
    assert _there(engine, newer)
    assert _clean(engine, label) == []
    assert _clean(engine, label, everything=True) == [newer]
    assert not _there(engine, newer)


def test_what_a_container_was_made_from_stays(engine: docker.DockerClient, label: str) -> None:
    older = _build(engine, label, "one")
    container = engine.containers.create(older)
    try:
        _build(engine, label, "two")
        assert _clean(engine, label) == []
    finally:
        container.remove()
    assert _clean(engine, label) == [older]


def test_what_somebody_built_on_a_replaced_image_stays_and_so_does_that_image(
    engine: docker.DockerClient, label: str
) -> None:
    older = _build(engine, label, "one")
    context = {"Dockerfile": f"FROM {older}\nENV A=1\n".encode()}
    theirs = build_stage(engine, context)
    _build(engine, label, "two")
    assert _clean(engine, label) == []
    engine.images.remove(theirs, noprune=True)
    assert _clean(engine, label) == [older]
