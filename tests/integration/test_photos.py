"""Photos through the image: every catalogued one, one photo in every encoding, and files that are hardly pictures."""

import base64
import io
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import docker
import pytest
from PIL import Image

from action.classifier.formats import SUPPORTED
from action.classifier.request import MOST_IMAGES
from cli.pipeline import Pipeline
from images.activation import Status
from images.build import Image as BuiltImage
from images.invoker import Activation, Invoker, invoker
from images.verify import Verdict
from model_fetch import load_catalog
from tests import pictures
from tests.catalogued import PICTURES, ByEntry, picture
from tests.integration.inside import Initialized, encoded
from tests.variants import PANDA

pytestmark = pytest.mark.engine

PHOTOS = [sample.name for sample in load_catalog().samples]

# The photos that a model takes for something else, and for what: facts about the models, which a build must not change.
MISSES = {
    "tf2_mobilenet_v2_1.0_224_ptq": {"grace_hopper.jpg": "mortarboard"},
    "mobilenet_v2_1.0_224_quant": {},
}


@pytest.fixture(scope="module")
def verdicts(pipeline: Pipeline, photos: dict[str, Path]) -> dict[str, Verdict]:
    files = pipeline.photos([str(file) for file in photos.values()])
    return ByEntry({verdict.photo: verdict for verdict in pipeline.verify(files, 1)})


@pytest.mark.parametrize("photo", PHOTOS)
def test_a_catalogued_photo_is_taken_for_what_it_shows(
    pipeline: Pipeline, verdicts: dict[str, Verdict], photo: str
) -> None:
    verdict, missed = verdicts[photo], MISSES[pipeline.model.name].get(photo)
    best = verdict.top[0]
    assert best.probability > verdict.top[1].probability
    assert 0 < best.probability <= 1
    if missed:
        assert best.class_name == missed
        assert verdict.problem.startswith("not what it shows")
    else:
        assert verdict.problem == ""
        assert best.class_name in pipeline.catalog.sample(photo).accepted


def test_the_first_activation_logs_memory_and_time_of_every_stage(verdicts: dict[str, Verdict]) -> None:
    said = [line.split()[:2] for line in verdicts["panda.jpg"].log]
    cold = ("processStart", "import", "loadModel")
    stages = (*cold, "decode", "input", "firstInference", "classify", "main")
    assert said == [[what, stage] for stage in stages for what in ("elapsed", "memory")]


@pytest.fixture(scope="module")
def container(image: BuiltImage, initialized: Initialized) -> Iterator[Invoker]:
    with initialized(image.id) as running:
        yield running


def _best(activation: Activation) -> str:
    return str(activation.classified.result["results"][0]["className"])


def _said(activation: Activation) -> str:
    return str(activation.classified.result["error"])


@pytest.mark.parametrize("name", PICTURES)
def test_any_file_gets_classes_or_an_error_and_the_container_stays(
    container: Invoker, photos: dict[str, Path], name: str
) -> None:
    activation = container.run({"image": base64.b64encode(picture(name)).decode()})
    expected = PICTURES[name]
    assert activation.status_code == 200
    assert activation.classified.kept
    result = activation.classified.result
    if expected == "panda":
        assert _best(activation) == PANDA
    elif activation.classified.status is Status.SUCCESS:
        assert len(result["results"]) == 5
        assert expected in ("decoded", "either")
    else:
        assert len(result["error"]) > 20  # a sentence
        assert expected in ("refused", "either")
    container.running.check()
    assert _best(container.run({"image": encoded(photos["panda.jpg"])})) == PANDA


# How a JPEG is encoded, for Pillow; with and without markers between its parts, in one scan and in several.
ENCODED: dict[str, dict[str, Any]] = {
    "baseline": {},
    "baseline-444": {"subsampling": 0},
    "baseline-420": {"subsampling": 2},
    "restart": {"restart_marker_rows": 1},
    "progressive": {"progressive": True},
    "progressive-restart": {"progressive": True, "restart_marker_rows": 1},
}
# Start and end of an image, of a frame and of a scan, tables, a restart out of its turn, a comment, metadata.
MARKERS = ("ffd8", "ffd9", "ffc0", "ffc4", "ffda", "ffdb", "ffd5", "fffe", "ffe0")
START_OF_SCAN = b"\xff\xda"


def _jpeg(photo: Path, *, mode: str = "RGB", **options: Any) -> bytes:
    picture = Image.open(photo).convert(mode)
    picture.thumbnail((480, 480))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80, **options)
    return file.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("kind", ENCODED)
def test_a_jpeg_with_a_marker_in_the_middle_of_its_data_is_refused(
    container: Invoker, photos: dict[str, Path], kind: str, mode: str
) -> None:
    file = _jpeg(photos["panda.jpg"], mode=mode, **ENCODED[kind])
    whole = [file, file[:-2], file + b"what some cameras append \xff\xd8\xff"]
    first = file.index(START_OF_SCAN) + 20
    middles = [first + (len(file) - first) * percent // 100 for percent in (1, 30, 60, 98)]
    broken = [
        file[: at + 1] + bytes.fromhex(marker) + rest
        for at in (next(at for at in range(middle, len(file)) if file[at] != 0xFF) for middle in middles)
        for marker in MARKERS
        for rest in (file[at + 1 :], b"")
    ]
    encoded = [base64.b64encode(content).decode() for content in (*whole, *broken)]
    answers: list[dict[str, Any]] = []
    for start in range(0, len(encoded), MOST_IMAGES):
        activation = container.run({"images": encoded[start : start + MOST_IMAGES], "top": 1})
        answers += activation.classified.result["images"]
    assert [answer["results"][0]["className"] for answer in answers[: len(whole)]] == [PANDA] * len(whole)
    assert [list(answer) for answer in answers[len(whole) :]] == [["error"]] * len(broken)


def _bomb(name: str) -> bytes:
    return pictures.bombs()[name]


# How to make each file, and what the action must say of it; None: classes.
HOSTILE: dict[str, tuple[Callable[[], bytes], str | None]] = {
    "strips in strips": (pictures.strips_in_strips, "the whole file has 760134"),
    "tiles around a strip": (pictures.tiles_around_a_strip, "too large: 16 x 60000 pixels"),
    "ends of lines": (pictures.ends_of_lines, "too large: 1000000 x 100 pixels"),
    "65,536 groups of Huffman codes": (
        pictures.huffman_webp,
        "WebP image is damaged or of an unsupported kind",
    ),
    "60,000 chunks without content": (lambda: pictures.chunks_without_content(720_000), None),
    **{f"a bomb as {name}": (partial(_bomb, name), "too large|100 million pixels") for name in SUPPORTED},
}


@pytest.mark.parametrize(("make", "said"), HOSTILE.values(), ids=HOSTILE)
def test_a_file_that_wants_more_than_there_is_is_refused_and_the_container_stays(
    container: Invoker, photos: dict[str, Path], make: Callable[[], bytes], said: str | None
) -> None:
    activation = container.run({"image": base64.b64encode(make()).decode()})
    assert activation.status_code == 200
    if said is None:
        assert activation.classified.status is Status.SUCCESS
    else:
        assert re.search(said, _said(activation))
    assert (container.memory().peak or 0) < container.limits.memory_mib << 20  # it never came near
    assert _best(container.run({"image": encoded(photos["panda.jpg"])})) == PANDA


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "TIFF"])
def test_all_orientations_of_a_picture_have_one_label(
    container: Invoker, photos: dict[str, Path], kind: str
) -> None:
    upright = Image.open(photos["panda.jpg"]).convert("RGB")
    upright.thumbnail((480, 480))
    best = []
    for orientation, turn in pictures.STORED.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        file = io.BytesIO()
        options = {"compression": "tiff_lzw"} if kind == "TIFF" else {"quality": 95}
        (upright if turn is None else upright.transpose(turn)).save(file, kind, exif=exif, **options)
        best.append(_best(container.run({"image": base64.b64encode(file.getvalue()).decode()})))
    assert best == [PANDA] * len(pictures.STORED)


def test_several_photos_in_one_request_are_answered_in_their_order(
    container: Invoker, photos: dict[str, Path]
) -> None:
    panda, lion = (encoded(photos[name]) for name in ("panda.jpg", "lion.jpg"))
    activation = container.run({"images": [panda, "tiger.jpeg", lion]})
    first, bad, last = activation.classified.result["images"]
    assert first["results"][0]["className"] == PANDA
    assert bad["error"].startswith("image is not base64")
    assert last["results"][0]["className"].startswith("lion")


def test_a_web_action_answers_a_posted_file_with_a_status_and_keeps_the_container_after_an_error(
    container: Invoker, photos: dict[str, Path]
) -> None:
    request = {"__ow_method": "post", "__ow_path": "", "__ow_headers": {"content-type": "image/jpeg"}}
    good = container.run({**request, "__ow_query": "top=1", "__ow_body": encoded(photos["panda.jpg"])})
    assert good.classified.status is Status.SUCCESS
    assert good.classified.result["statusCode"] == 200
    assert [entry["className"] for entry in good.classified.result["body"]["results"]] == [PANDA]
    bad = container.run({**request, "__ow_query": "", "__ow_body": ""})
    assert (bad.classified.status, bad.classified.kept) == (Status.APPLICATION_ERROR, True)
    assert bad.classified.result["error"]["statusCode"] == 400
    assert bad.classified.result["error"]["body"]["error"].startswith("no image in this POST request")


def test_the_profile_comes_as_json_when_it_is_asked_for(
    engine: docker.DockerClient, image: BuiltImage, photos: dict[str, Path]
) -> None:
    with invoker(engine, image.id, environment={"UNDER48_PROFILE": "json"}) as running:
        running.init()
        activations = [running.run({"image": encoded(photos["panda.jpg"])}) for _ in range(2)]
    cold, warm = (json.loads(activation.stdout[-1])["profile"] for activation in activations)
    parts = ["decode", "input", "classify", "main"]
    assert [entry["stage"] for entry in warm["stages"]] == parts
    before = ["processStart", "import", "loadModel"]
    assert [entry["stage"] for entry in cold["stages"]] == [*before, *parts[:2], "firstInference", *parts[2:]]
    assert (cold["cold"], warm["cold"]) == (True, False)
    assert all(entry["rss"] > 5_000_000 and entry["ms"] >= 0 for entry in cold["stages"])


def test_a_photo_that_the_platform_would_refuse_is_shrunk_and_still_what_it_shows(
    pipeline: Pipeline, photos: dict[str, Path]
) -> None:
    (photo,) = pipeline.photos([str(photos["lobster.jpg"])])
    assert photo.read().too_large
    (verdict,) = pipeline.verify([photo], 1, shrink=True)
    assert verdict.problem == ""
    assert verdict.note.startswith("shrunk from 2,600,434 to ")
