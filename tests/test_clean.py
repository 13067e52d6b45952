from dataclasses import replace

import pytest

from images.build import INPUTS_LABEL, STAGE_LABEL
from images.clean import Stored, removal


def _image(
    name: str, parent: str = "", *tags: str, size: int = 0, inputs: str = "", stage: str = ""
) -> Stored:
    labels = {INPUTS_LABEL: inputs, STAGE_LABEL: stage}
    return Stored(
        id=name,
        parent=parent,
        tags=tags,
        labels={key: value for key, value in labels.items() if value},
        size=size,
    )


# A base; the tools on it; of two versions the compiled stage and the image; somebody's image on the newer one.
ENGINE = (
    _image("base", "", "under48/base:1", size=100),
    _image("tools", "base", size=300),
    _image("compiled-1", "tools", size=350),
    _image("stage-1", "compiled-1", size=350, inputs="1", stage="compile"),
    _image("compiled-2", "tools", size=360),
    _image("stage-2", "compiled-2", size=360, inputs="2", stage="compile"),
    _image("contents-1", "", size=58),
    _image("image-1", "contents-1", size=59, inputs="1"),
    _image("contents-2", "", size=68),
    _image("image-2", "contents-2", "under48/classify:x", size=70, inputs="2"),
    _image("relabelled-2", "contents-2", size=70, inputs="2"),
)
FOREIGN = (_image("theirs", "", "debian:12", size=80), _image("dangling", "theirs", size=90))
ON_OURS = replace(_image("on-ours", "image-2", size=75, inputs="2"), made_here=False)


def _goes(*images: Stored, used: tuple[str, ...] = (), everything: bool = False) -> list[str]:
    return [image.id for image in removal(images, frozenset(used), everything=everything).images]


def test_what_a_newer_image_has_replaced_goes_with_its_stages_and_the_cache_of_what_is_current_stays() -> (
    None
):
    assert set(_goes(*ENGINE, *FOREIGN)) == {"stage-1", "image-1", "relabelled-2"}


def test_everything_is_what_under48_made_and_nothing_else() -> None:
    wanted = {"stage-1", "image-1", "relabelled-2", "stage-2", "image-2", "base"}
    assert set(_goes(*ENGINE, *FOREIGN, everything=True)) == wanted


def test_what_was_built_on_others_is_removed_before_them() -> None:
    assert _goes(*ENGINE, everything=True)[-1] == "base"


@pytest.mark.parametrize("everything", [False, True])
def test_what_a_container_uses_stays_and_so_does_what_it_was_built_on(*, everything: bool) -> None:
    gone = _goes(*ENGINE, used=("stage-1", "image-1"), everything=everything)
    assert not {"stage-1", "image-1", "base"} & set(gone)


@pytest.mark.parametrize("tags", [(), ("mine:1",)], ids=["nameless", "named"])
def test_what_somebody_built_on_an_image_stays_and_so_does_that_image(tags: tuple[str, ...]) -> None:
    gone = _goes(*ENGINE, replace(ON_OURS, tags=tags), everything=True)
    assert not {"on-ours", "image-2"} & set(gone)


def test_an_image_that_also_has_somebody_elses_name_stays() -> None:
    images = [replace(i, tags=(*i.tags, "registry/classify:1")) if i.id == "image-2" else i for i in ENGINE]
    assert "image-2" not in _goes(*images, everything=True)


@pytest.mark.parametrize(
    ("everything", "freed"),
    [
        (
            False,
            50 + 59 + 2,
        ),  # compiled-1, image-1 with its contents, what relabelled-2 has beyond its parent
        (True, 360 + 50 + 59 + 70 + 2),
    ],
)
def test_the_room_that_it_makes_counts_what_only_that_had_which_goes(*, everything: bool, freed: int) -> None:
    assert removal(ENGINE, frozenset(), everything=everything).bytes == freed


def test_an_engine_without_any_of_it_has_nothing_to_remove() -> None:
    assert _goes(*FOREIGN, everything=True) == []
