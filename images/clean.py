"""Removes from the engine what under48 made there: images that newer ones have replaced, or everything.

A build that runs at the same time may find a stage gone, and makes it again.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import docker
from docker.errors import APIError, NotFound

from images.build import INPUTS_LABEL, STAGE_LABEL

OURS = "under48/"  # how the names of this project's images begin
_OUR_STEP = "LABEL org.under48."
_NAMELESS = "<none>:<none>"


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """An image in the engine; `size` in bytes, with all that it shares with its parent."""

    id: str
    parent: str
    tags: tuple[str, ...]
    labels: Mapping[str, str]
    size: int
    made_here: bool = True  # its last build step is one of our labels, which an image built on it inherits

    @property
    def title(self) -> str:
        """Its names, or what it is."""
        stage = self.labels.get(STAGE_LABEL)
        return ", ".join(self.tags) or (f"build stage {stage}" if stage else "replaced image")


@dataclass(frozen=True, kw_only=True, slots=True)
class Removal:
    """What is to go: `images`, those built on others first. The engine removes their build steps with them."""

    images: tuple[Stored, ...]
    bytes: int  # at most: steps that made the same files share them


def stored_images(engine: docker.DockerClient, *, label: str = INPUTS_LABEL) -> list[Stored]:
    """All images in the engine, those of single build steps included (GET /images/json)."""
    rows = engine.api.images(all=True)
    parents = {row["ParentId"] for row in rows}
    return [
        Stored(
            id=row["Id"],
            parent=row["ParentId"],
            tags=tuple(tag for tag in row["RepoTags"] or () if tag != _NAMELESS),
            labels=row["Labels"] or {},
            size=row["Size"],
            made_here=label in (row["Labels"] or {})
            and row["Id"] not in parents
            and _OUR_STEP in engine.api.history(row["Id"])[0]["CreatedBy"],  # type: ignore[no-untyped-call]
        )
        for row in rows
    ]


def used_images(engine: docker.DockerClient) -> frozenset[str]:
    """The ids of images that a container, running or not, was made from."""
    return frozenset(container["ImageID"] for container in engine.api.containers(all=True))


def removal(
    images: Sequence[Stored],
    used: AbstractSet[str],
    *,
    everything: bool,
    label: str = INPUTS_LABEL,
    ours: str = OURS,
) -> Removal:
    """What can go of the images that carry `label`, whose value says what an image was made from.

    That is an image that has lost its name to a newer one, and a stage from which no named image was made. `everything`
    adds what is current: the images called `ours`…, the base among them, and the stages, which are the build's cache.
    What a container uses, what others were built on, and what has another name, stays.
    """
    by_id = {image.id: image for image in images}
    children: defaultdict[str, set[str]] = defaultdict(set)
    for image in images:
        children[image.parent].add(image.id)
    current = {image.labels[label] for image in images if image.tags and label in image.labels}

    def goes(image: Stored) -> bool:
        if image.id in used:
            return False
        if image.tags:
            return everything and all(tag.startswith(ours) for tag in image.tags)
        needed = STAGE_LABEL in image.labels and image.labels.get(label) in current
        return label in image.labels and image.made_here and (everything or not needed)

    going = {image.id for image in images if goes(image)}
    while True:
        gone = going | _steps(going, by_id, children, used)
        kept = {image for image in going if children[image] - gone}
        if not kept:
            break
        going -= kept
    ordered = sorted((by_id[image] for image in going), key=lambda image: -_depth(image, by_id))
    return Removal(images=tuple(ordered), bytes=sum(_own_size(by_id[image], by_id) for image in gone))


def remove(engine: docker.DockerClient, images: Sequence[Stored]) -> list[str]:
    """Remove them; returns what the engine said of those that it would not remove."""
    refused = []
    for image in images:
        try:
            for name in image.tags or (image.id,):
                engine.api.remove_image(name)
        except NotFound:
            continue  # somebody else was faster
        except APIError as error:
            refused.append(f"{image.title}: {error.explanation or error}")
    return refused


def _steps(
    going: AbstractSet[str],
    by_id: Mapping[str, Stored],
    children: Mapping[str, set[str]],
    used: AbstractSet[str],
) -> set[str]:
    """The nameless build steps that the engine removes with `going`: those that nothing else was built on."""
    steps: set[str] = set()
    for image in going:
        parent = by_id.get(by_id[image].parent)
        while parent and not parent.tags and parent.id not in used and children[parent.id] <= going | steps:
            steps.add(parent.id)
            parent = by_id.get(parent.parent)
    return steps


def _own_size(image: Stored, by_id: Mapping[str, Stored]) -> int:
    return image.size - by_id[image.parent].size if image.parent in by_id else image.size


def _depth(image: Stored, by_id: Mapping[str, Stored]) -> int:
    depth = 0
    while image.parent in by_id:
        image, depth = by_id[image.parent], depth + 1
    return depth
