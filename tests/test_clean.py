from dataclasses import replace

import pytest

from images.build import INPUTS_LABEL, STAGE_LABEL
from images.clean import Stored, removal


def _image(
    history: str, *tags: str, stage: str = "", inputs: str = "", size: int = 1, layers: str = ""
) -> Stored:
    """An image whose steps are the letters of `history`, each with a layer unless `layers` says otherwise."""
    labels = {STAGE_LABEL: stage, INPUTS_LABEL: inputs}
    return Stored(
        id=f"{history}{layers}{inputs}",
        tags=tags,
        labels={key: value for key, value in labels.items() if value},
        steps=tuple(history),
        layers=tuple(layers or history),
        size=size,
    )


# A base; the tools on it; of two versions the compiled stage, the image's contents and the image.
BASE = _image("b", "under48/base:1", size=100)
TOOLS = _image("bt", stage="tools", size=200)
SOURCES = _image("bts", stage="sources", size=300)
OLD_STEP, OLD_STAGE = (
    _image("btso", stage="compile", size=10),
    _image("btsol", stage="compile", inputs="1", size=0),
)
NEW_STEP, NEW_STAGE = (
    _image("btsn", stage="compile", size=11),
    _image("btsnl", stage="compile", inputs="2", size=0),
)
OLD_CONTENTS, OLD_IMAGE = _image("c", stage="contents", size=58), _image("cil", stage="image", inputs="1")
NEW_CONTENTS = _image("C", stage="contents", size=68)
NEW_IMAGE = _image("Cil", "under48/classify:x", stage="image", inputs="2")
OLD = (OLD_STEP, OLD_STAGE, OLD_CONTENTS, OLD_IMAGE)
ENGINE = (BASE, TOOLS, SOURCES, *OLD, NEW_STEP, NEW_STAGE, NEW_CONTENTS, NEW_IMAGE)
ON_OURS = replace(_image("Cilx", stage="image", inputs="2"), is_last_step_ours=False)


def _goes(*images: Stored, used: tuple[Stored, ...] = (), everything: bool = False) -> list[str]:
    used_ids = frozenset(image.id for image in used)
    return [image.id for image in removal(images, used_ids, everything=everything).images]


def _ids(*images: Stored) -> set[str]:
    return {image.id for image in images}


def test_what_a_newer_image_has_replaced_goes_with_its_steps_and_the_cache_of_what_is_current_stays() -> None:
    assert set(_goes(*ENGINE)) == _ids(*OLD)


def test_everything_is_the_images_the_base_and_all_their_steps() -> None:
    assert set(_goes(*ENGINE, everything=True)) == _ids(*ENGINE)


def test_what_was_built_on_others_is_removed_before_them() -> None:
    order = _goes(*ENGINE, everything=True)
    steps = {image.id: image.steps for image in ENGINE}
    assert [len(steps[image]) for image in order] == sorted(map(len, steps.values()), reverse=True)


@pytest.mark.parametrize("everything", [False, True])
def test_what_a_container_uses_stays_and_so_does_what_it_was_built_on(*, everything: bool) -> None:
    gone = _goes(*ENGINE, used=(OLD_STAGE, OLD_IMAGE), everything=everything)
    assert not _ids(OLD_STAGE, OLD_STEP, SOURCES, TOOLS, BASE, OLD_IMAGE, OLD_CONTENTS) & set(gone)


@pytest.mark.parametrize("tags", [(), ("mine:1",)], ids=["nameless", "named"])
def test_what_somebody_built_on_an_image_stays_and_so_does_that_image(tags: tuple[str, ...]) -> None:
    gone = _goes(*ENGINE, replace(ON_OURS, tags=tags), everything=True)
    assert not _ids(ON_OURS, NEW_IMAGE, NEW_CONTENTS) & set(gone)


def test_an_image_that_also_has_somebody_elses_name_stays() -> None:
    shared = replace(NEW_IMAGE, tags=(*NEW_IMAGE.tags, "registry/classify:1"))
    images = [shared if image is NEW_IMAGE else image for image in ENGINE]
    assert not _ids(NEW_IMAGE, NEW_CONTENTS) & set(_goes(*images, everything=True))


def test_images_of_the_same_steps_and_times_are_told_apart_by_their_layers() -> None:
    """BuildKit gives each step the time of SOURCE_DATE_EPOCH."""
    replaced = _image("Ci", stage="contents", layers="cI")
    assert _goes(*ENGINE, replaced) == _goes(*ENGINE[:-1], replaced, NEW_IMAGE)
    assert replaced.id in _goes(*ENGINE, replaced)
    assert NEW_CONTENTS.id not in _goes(*ENGINE, replaced)


def test_of_two_images_of_the_same_steps_the_one_that_has_lost_its_name_goes() -> None:
    relabelled = replace(NEW_IMAGE, id="before the commit", tags=())
    assert relabelled.id in _goes(*ENGINE, relabelled)
    assert NEW_IMAGE.id not in _goes(*ENGINE, relabelled)


@pytest.mark.parametrize(("everything", "freed"), [(False, 10 + 58 + 1), (True, 600 + 21 + 126 + 2)])
def test_the_room_that_it_makes_is_that_of_the_steps_that_go(*, everything: bool, freed: int) -> None:
    assert removal(ENGINE, frozenset(), everything=everything).bytes == freed


def test_an_engine_without_any_of_it_has_nothing_to_remove() -> None:
    assert _goes(everything=True) == []
