"""The shipped action with its real library and model: photos in, labels out, or what is wrong with them."""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING, Any

import pytest

from action.classifier import native
from action.classifier.answer import answer
from action.classifier.model import Model, ModelError, choose_threads, load_model
from tests.catalogued import PICTURES, picture
from tests.runtime_process import RuntimeProcess, make_zip
from tests.shipped_action import PARTS, lay_out_action
from tests.variants import PANDA, VARIANTS, variant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What an answer holds, by what is expected of a picture.
OUTCOMES = {"decoded": ({"results"},), "refused": ({"error"},), "either": ({"results"}, {"error"})}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay_out_action(tmp_path_factory.mktemp("action"))


@pytest.fixture(scope="module")
def model(folder: Path) -> Iterator[Model]:
    opened = load_model(str(folder), 1)
    yield opened
    opened.classifier.close()


def encoded(file: bytes) -> str:
    return base64.b64encode(file).decode()


@pytest.mark.parametrize("name", [name for name, expected in VARIANTS.items() if expected == "panda"])
def test_a_panda_is_a_panda_in_every_encoding(model: Model, name: str) -> None:
    results: Any = answer({"image": encoded(variant(name))}, model)["results"]
    assert len(results) == 5
    assert results[0]["className"] == PANDA
    probabilities = [result["probability"] for result in results]
    assert probabilities == sorted(probabilities, reverse=True)
    assert all(0 <= value <= 1 for value in probabilities)


@pytest.mark.parametrize("name", [name for name, expected in PICTURES.items() if expected != "panda"])
def test_any_file_gets_classes_or_an_error(model: Model, name: str) -> None:
    found = answer({"image": encoded(picture(name))}, model)
    assert set(found) in OUTCOMES[PICTURES[name]]
    json.dumps(found, allow_nan=False)


def test_same_picture_same_answer(model: Model) -> None:
    panda = {"image": encoded(variant("panda-progressive.jpg")), "top": 1001}
    first = answer(panda, model)
    answer({"image": encoded(variant("panda-truncated-header.jpg"))}, model)
    answer({"image": encoded(variant("panda-rgb.png"))}, model)
    assert answer(panda, model) == first


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (b"\xff\xd8\xff\xe0", "the JPEG image cannot be used: "),
        (b"\x89PNG\r\n\x1a\n", "the PNG image is damaged"),
        (b"%PDF-1.7", "PDF is not supported; send JPEG, PNG, WebP, BMP, GIF or TIFF"),
        (b"hello", "its format is not known"),
    ],
)
def test_bad_pictures_are_answers(model: Model, file: bytes, text: str) -> None:
    assert text in str(answer({"image": base64.b64encode(file).decode()}, model)["error"])


def test_several_images_are_answered_in_their_order_and_a_bad_one_spoils_its_own_only(model: Model) -> None:
    panda = encoded(variant("panda-progressive.jpg"))
    alone = answer({"image": panda, "top": 2}, model)
    found: Any = answer({"images": [panda, "panda.jpg", None, panda], "top": 2}, model)
    assert list(found) == ["images"]
    first, bad, none, last = found["images"]
    assert first == last == alone
    assert bad == {"error": "image is not base64: only base64 data is allowed"}
    assert none == {"error": "image must be a string of base64, not null"}


def test_an_option_that_is_wrong_refuses_the_whole_list(model: Model) -> None:
    assert list(answer({"images": ["x"], "top": 0}, model)) == ["error"]


def test_over_http_the_same_is_the_body_of_an_answer(model: Model) -> None:
    panda = encoded(variant("panda-progressive.jpg"))
    web = {"__ow_method": "post", "__ow_headers": {"content-type": "image/jpeg"}, "__ow_path": ""}
    plain = answer({"image": panda, "top": 2}, model)
    assert answer({**web, "__ow_body": panda, "__ow_query": "top=2"}, model) == {
        "statusCode": 200,
        "body": plain,
    }
    refused: Any = answer({**web, "__ow_body": panda, "__ow_query": "top=none"}, model)
    assert refused["error"]["statusCode"] == 400
    assert refused["error"]["body"]["error"].startswith("top must be a whole number")
    broken: Any = answer({**web, "__ow_body": panda[:400], "__ow_query": ""}, model)
    assert "JPEG" in broken["error"]["body"]["error"]


def test_probabilities_are_probabilities(model: Model) -> None:
    model.classifier.set_rgb(bytes(30 * 20 * 3), 30, 20, model.framing)
    values = model.probabilities()
    assert len(values) == len(model.labels) == model.classifier.classes
    assert all(math.isfinite(value) and 0 <= value <= 1 for value in values)


def test_pixels_of_the_wrong_length_never_reach_the_library(model: Model) -> None:
    with pytest.raises(ValueError, match="30 x 20 pixels are 1800 bytes"):
        model.classifier.set_rgb(bytes(1799), 30, 20, model.framing)


def test_the_tensors_and_the_plan_are_readable(model: Model) -> None:
    classifier = model.classifier
    batch, height, width, channels = classifier.input.dimensions()
    assert (batch, channels) == (1, 3)
    assert height == width > 0
    assert classifier.plan.nodes >= classifier.plan.delegated > 0


@pytest.mark.parametrize(
    ("part", "content", "text"),
    [
        ("model.tflite", b"nonsense" * 100, "the model cannot be opened"),
        ("model.tflite", None, "the model cannot be opened"),
        ("model.tflite", "flipped", "model.tflite is damaged, its checksum is another"),
        ("libunder48.so", b"nonsense", "the model cannot be opened"),
        ("libunder48.so", None, "the model cannot be opened"),
        ("labels.txt", b"one\ntwo\n", "labels.txt: 2 labels"),
        ("labels.txt", None, "the labels cannot be read"),
        ("model.json", b"{", "model.json cannot be used"),
        ("model.json", b"{}", "model.json cannot be used: wrong or missing: 'crop'"),
        ("model.json", b"[]", "model.json cannot be used"),
        ("model.json", None, "model.json cannot be used"),
    ],
)
def test_damaged_parts_are_named(
    folder: Path, tmp_path: Path, part: str, content: bytes | str | None, text: str
) -> None:
    for name in PARTS:
        if name != part:
            (tmp_path / name).symlink_to(folder / name)
        elif isinstance(content, str):  # one bit, which no other check would see
            whole = bytearray((folder / name).read_bytes())
            whole[len(whole) // 2] ^= 1
            (tmp_path / name).write_bytes(whole)
        elif content is not None:
            (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=text):
        load_model(str(tmp_path), 1)


@pytest.mark.parametrize("way", ["built in", "zip"])
def test_the_runtime_serves_it_built_in_and_as_a_zip(folder: Path, tmp_path: Path, way: str) -> None:
    with RuntimeProcess(tmp_path, folder) as runtime:
        code = None
        if way == "zip":
            files = {
                str(path.relative_to(folder)): path.read_bytes()
                for path in folder.rglob("*.*")
                if path.is_file()
            }
            code = make_zip(files)
        assert runtime.init(code) == (200, {"ok": True})
        status, result = runtime.run({"image": encoded(variant("panda-progressive.jpg")), "top": 1})
        assert status == 200
        assert PANDA in result["results"][0]["className"]
        assert runtime.run({"image": "panda.jpg"})[0] == 200
        out, _ = runtime.lines(2)
        stages = [line.split()[1] for line in out.splitlines() if line.startswith("elapsed ")]
        loads = [
            "processStart",
            "import",
            "loadModel",
        ]  # as a zip, what the built-in one has logged is dropped
        cold = ["decode", "input", "firstInference", "classify", "main"]
        assert stages == [*loads, *cold, "decode", "main"]


# Without the library
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wanted", "threads"), [(None, 1), ("", 1), ("1", 1), ("2", 2), ("64", 64)])
def test_threads_are_what_is_wanted_else_one(wanted: str | None, threads: int) -> None:
    assert choose_threads(wanted) == threads


@pytest.mark.parametrize("wanted", ["0", "-1", "two", "1.5", "1000"])
def test_a_senseless_number_of_threads_is_an_error(wanted: str) -> None:
    with pytest.raises(ModelError, match="UNDER48_THREADS"):
        choose_threads(wanted)


def test_a_library_of_another_kind_is_named() -> None:
    with pytest.raises(native.NativeError, match=r"libc\.so\.6 is not libunder48"):
        native.load("libc.so.6")
