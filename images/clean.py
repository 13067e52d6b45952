"""Removes from the engine what under48 made there: images that newer ones have replaced, or everything.

What is ours is known by labels, and what was built on what by the steps in the images' histories: of the builders only
the classic one records an image's parent, and not with every image store. A build that runs at the same time may find
a step gone, and makes it again.
"""

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass

import docker
from docker.errors import APIError, NotFound

from images.build import INPUTS_LABEL, STAGE_LABEL

OURS = "under48/"  # how the names of this project's images begin
_LAST_STAGE = "image"
_OUR_STEP = re.compile(r'LABEL "?org\.under48\.')
_NAMELESS = "<none>:<none>"
_REGISTRY = re.compile(r"^(localhost|docker\.io)/")  # what Podman puts before a name without one


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """An image in the engine that is called ours or bears our labels."""

    id: str
    tags: tuple[str, ...]
    labels: Mapping[str, str]
    steps: tuple[str, ...]  # of its history, oldest first, each with its time
    layers: tuple[str, ...]  # digests of their unpacked content, oldest first
    size: int  # bytes of its last step
    is_last_step_ours: bool = True  # False: somebody has built on ours, and so inherited the labels

    @property
    def title(self) -> str:
        """Its names, or what it is."""
        stage = self.labels.get(STAGE_LABEL, _LAST_STAGE)
        return ", ".join(self.tags) or ("replaced image" if stage == _LAST_STAGE else f"build stage {stage}")

    def is_on_the_way_to(self, other: "Stored") -> bool:
        """Whether `other` was built on this image. Times alone do not tell: BuildKit gives each step the same one."""
        return (
            len(self.steps) < len(other.steps)
            and self.steps == other.steps[: len(self.steps)]
            and self.layers == other.layers[: len(self.layers)]
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Removal:
    """What is to go: `images`, those built on others first."""

    images: tuple[Stored, ...]
    bytes: int  # at most: steps that made the same files share them


def stored_images(engine: docker.DockerClient, *, ours: str = OURS) -> list[Stored]:
    """The images in the engine that are called `ours`… or bear our labels, those of single build steps included."""
    rows = engine.api.images(all=True)
    images = []
    for row in rows:
        labels = row["Labels"] or {}
        tags = tuple(_REGISTRY.sub("", tag) for tag in row["RepoTags"] or () if tag != _NAMELESS)
        if STAGE_LABEL in labels or any(tag.startswith(ours) for tag in tags):
            with suppress(NotFound):  # somebody else has removed it meanwhile
                images.append(_stored(engine, row["Id"], tags, labels))
    return images


def _stored(
    engine: docker.DockerClient, image_id: str, tags: tuple[str, ...], labels: Mapping[str, str]
) -> Stored:
    history = engine.api.history(image_id)  # type: ignore[no-untyped-call]
    last = history[0]["CreatedBy"] if history else ""
    return Stored(
        id=image_id,
        tags=tags,
        labels=labels,
        steps=tuple(f"{step['Created']} {step['CreatedBy']}" for step in reversed(history)),
        layers=tuple(engine.images.get(image_id).attrs["RootFS"].get("Layers") or ()),
        size=history[0]["Size"] if history else 0,
        is_last_step_ours=labels.get(STAGE_LABEL) != _LAST_STAGE or bool(_OUR_STEP.search(last)),
    )


def used_images(engine: docker.DockerClient) -> frozenset[str]:
    """The ids of images that a container, running or not, was made from."""
    return frozenset(container["ImageID"] for container in engine.api.containers(all=True))


def removal(
    images: Sequence[Stored], used: AbstractSet[str], *, everything: bool, ours: str = OURS
) -> Removal:
    """What can go of `images`: images that have lost their name to newer ones, and steps that no current one needs.

    `everything` adds what is current: the images called `ours`…, the base among them, and the steps, which are the
    build's cache. What a container uses, what others were built on, and what has another name, stays.
    """
    current = {image.labels[INPUTS_LABEL] for image in images if image.tags and INPUTS_LABEL in image.labels}

    def stays(image: Stored) -> bool:
        if image.id in used or not image.is_last_step_ours:
            return True
        if image.tags:
            return not everything or not all(tag.startswith(ours) for tag in image.tags)
        is_stage = image.labels[STAGE_LABEL] != _LAST_STAGE
        return not everything and is_stage and image.labels.get(INPUTS_LABEL) in current

    staying = [image for image in images if stays(image)]
    going = [
        image
        for image in images
        if image not in staying and not any(image.is_on_the_way_to(other) for other in staying)
    ]
    going.sort(key=lambda image: -len(image.steps))
    return Removal(images=tuple(going), bytes=sum(image.size for image in going))


def remove(engine: docker.DockerClient, images: Sequence[Stored]) -> list[str]:
    """Remove them and nothing else; returns what the engine said of those that it would not remove."""
    refused = []
    for image in images:
        try:
            for name in image.tags or (image.id,):
                engine.api.remove_image(name, noprune=True)
        except NotFound:
            continue  # somebody else was faster
        except APIError as error:
            refused.append(f"{image.title}: {error.explanation or error}")
    return refused
