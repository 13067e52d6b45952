"""What a caller may send to the action, and what he is told otherwise."""

import base64

import pytest

from action.classifier import request as module
from action.classifier.request import MOST_IMAGES, RefusedError, decode_image, read_request

FILE = bytes(range(256))
TEXT = base64.b64encode(FILE).decode()
WRAPPED = base64.encodebytes(FILE).decode()


@pytest.mark.parametrize(
    "image",
    [
        TEXT,
        WRAPPED,
        WRAPPED.replace("\n", "\r\n"),
        f"data:image/png;base64,{TEXT}",
        f"data:;BASE64,{WRAPPED}",
    ],
    ids=["plain", "wrapped", "CRLF", "data: URL", "wrapped data: URL"],
)
def test_base64_is_read_in_every_usual_form(image: str) -> None:
    request = read_request({"image": image}, 1001)
    assert (request.several, request.top, request.least) == (False, 5, 0.0)
    assert [decode_image(image) for image in request.images] == [FILE]


def test_options_are_taken() -> None:
    request = read_request({"image": TEXT, "top": 1001, "minProbability": 0.5}, 1001)
    assert (request.top, request.least) == (1001, 0.5)
    assert read_request({"image": TEXT, "top": None}, 3).top == 3


def test_several_images_keep_their_order_and_are_not_looked_at_yet() -> None:
    request = read_request({"images": [TEXT, "not base64", None], "top": 2}, 1001)
    assert (request.images, request.several, request.top) == ([TEXT, "not base64", None], True, 2)
    assert read_request({"images": [TEXT]}, 1001).several


@pytest.mark.parametrize(
    "added",
    [
        {"__ow_method": "post", "__ow_headers": {"host": "x"}, "__ow_path": ""},  # a web action
        {"__ow_method": "post", "__ow_query": "", "__ow_body": TEXT},  # a raw one
        {"__ow_user": "guest", "__ow_to_come": None},
    ],
)
def test_what_the_platform_adds_is_no_option(added: dict[str, object]) -> None:
    assert read_request({"image": TEXT, "top": 3, **added}, 10).top == 3


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "no image"),
        ({"__ow_method": "get"}, "no image"),
        ({"image": TEXT, "__ow": 1}, 'unknown option "__ow"'),
        ([], "the arguments must be an object, not a list"),
        ({"image": TEXT, "images": [TEXT]}, "image, or images as a list of such, not both"),
        ({"images": TEXT}, "images must be a list of base64 strings, not a string"),
        ({"images": []}, "images has 0 entries: send 1 to 16"),
        ({"images": [TEXT] * (MOST_IMAGES + 1)}, "images has 17 entries: send 1 to 16"),
        ({"image": TEXT, "Top": 5}, 'unknown option "Top"; known are image, images, top, minProbability'),
        ({"url": "http://x"}, 'unknown option "url"'),
        ({"image": TEXT, "top": 0}, "top must be a whole number from 1 to 10, not 0"),
        ({"image": TEXT, "top": 11}, "top must be a whole number from 1 to 10, not 11"),
        ({"image": TEXT, "\u202e\ud800": 5}, r'unknown option "\u202e\ud800"'),
        ({"image": TEXT, "schlüssel": 5}, 'unknown option "schlüssel"'),
        ({"image": TEXT, "top": True}, "top must be a whole number from 1 to 10, not true"),
        ({"image": TEXT, "minProbability": False}, "minProbability must be a number from 0 to 1, not false"),
        ({"image": TEXT, "top": 100.0}, "not 100.0"),
        ({"image": TEXT, "top": 10**30}, f"not 1{'0' * 30}"),
        ({"image": TEXT, "top": 10**400}, f"not 1{'0' * 36}..."),
        ({"image": TEXT, "top": float("inf")}, "from 1 to 10, not a number that is too large"),
        ({"image": TEXT, "minProbability": -float("inf")}, "not a number that is too large"),
        ({"image": TEXT, "top": 2.5}, "not 2.5"),
        ({"image": TEXT, "top": "5" * 100}, 'not "5555'),
        ({"image": TEXT, "top": [5]}, "not a list"),
        ({"image": TEXT, "minProbability": 1.1}, "minProbability must be a number from 0 to 1, not 1.1"),
        ({"image": TEXT, "minProbability": "high"}, 'not "high"'),
    ],
)
def test_what_is_wrong_is_named(arguments: object, text: str) -> None:
    with pytest.raises(RefusedError) as caught:
        read_request(arguments, 10)
    assert text in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (None, "image must be a string of base64, not null"),
        (7, "not a number"),
        ("", "the image is empty"),
        ("panda.jpg", "image is not base64"),
        (TEXT[:-1], "image is not base64: incorrect padding"),
        ("☃☃☃☃", "image is not base64"),
        ("AAAA AAAA", "image is not base64"),
        ("data:image/png,abc", "data: URL without base64"),
        ("data:" + TEXT, "data: URL without base64"),
    ],
)
def test_what_is_wrong_with_an_image_is_named(image: object, text: str) -> None:
    with pytest.raises(RefusedError) as caught:
        decode_image(image)
    assert text in str(caught.value)


def test_an_answer_that_the_platform_would_cut_off_is_refused_before_any_work() -> None:
    assert read_request({"images": ["x"] * 10, "top": 1000}, 1001).top == 1000
    with pytest.raises(
        RefusedError, match="top 1000 for 11 images is an answer of 11000 classes, at most 10000"
    ):
        read_request({"images": ["x"] * 11, "top": 1000}, 1001)


def test_files_over_the_limit_are_refused_by_their_length_before_decoding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_TEXT", len(TEXT) - 1)
    with pytest.raises(RefusedError, match="too large: 344 characters"):
        decode_image(TEXT)
    monkeypatch.setattr(module, "MOST_TEXT", len(TEXT))
    monkeypatch.setattr(module, "MOST_BYTES", len(FILE) - 1)
    with pytest.raises(RefusedError, match="too large: 256 bytes"):
        decode_image(TEXT)


def test_a_wrong_option_is_told_before_the_image_is_looked_at() -> None:
    with pytest.raises(RefusedError, match="unknown option"):
        read_request({"image": "not base64", "tpo": 3}, 10)
