"""What a caller may send to the action, and what he is told otherwise."""

import base64

import pytest

from action.classifier import request as module
from action.classifier.request import RefusedError, read_request

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
    assert (request.image, request.top, request.least) == (FILE, 5, 0.0)


def test_options_are_taken() -> None:
    request = read_request({"image": TEXT, "top": 1001, "minProbability": 0.5}, 1001)
    assert (request.top, request.least) == (1001, 0.5)
    assert read_request({"image": TEXT, "top": None}, 3).top == 3


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
        ({"image": TEXT, "__ow": 1}, "unknown option '__ow'"),
        ([], "the arguments must be an object, not a list"),
        ({"image": None}, "image must be a string of base64, not null"),
        ({"image": 7}, "not a number"),
        ({"image": ""}, "the image is empty"),
        ({"image": "panda.jpg"}, "image is not base64"),
        ({"image": TEXT[:-1]}, "image is not base64: incorrect padding"),
        ({"image": "☃☃☃☃"}, "image is not base64"),
        ({"image": "AAAA AAAA"}, "image is not base64"),
        ({"image": "data:image/png,abc"}, "data: URL without base64"),
        ({"image": "data:" + TEXT}, "data: URL without base64"),
        ({"image": TEXT, "Top": 5}, "unknown option 'Top'; known are image, top, minProbability"),
        ({"url": "http://x"}, "unknown option 'url'"),
        ({"image": TEXT, "top": 0}, "top must be a whole number from 1 to 10, not 0"),
        ({"image": TEXT, "top": 11}, "top must be a whole number from 1 to 10, not 11"),
        ({"image": TEXT, "top": True}, "not True"),
        ({"image": TEXT, "top": 2.5}, "not 2.5"),
        ({"image": TEXT, "top": "5" * 100}, "not '5555"),
        ({"image": TEXT, "top": [5]}, "not a list"),
        ({"image": TEXT, "minProbability": 1.1}, "minProbability must be a number from 0 to 1, not 1.1"),
        ({"image": TEXT, "minProbability": float("nan")}, "not nan"),
        ({"image": TEXT, "minProbability": "high"}, "not 'high'"),
    ],
)
def test_what_is_wrong_is_named(arguments: object, text: str) -> None:
    with pytest.raises(RefusedError) as caught:
        read_request(arguments, 10)
    assert text in str(caught.value)
    assert len(str(caught.value)) < 200


def test_files_over_the_limit_are_refused_by_their_length_before_decoding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_TEXT", len(TEXT) - 1)
    with pytest.raises(RefusedError, match="too large: 344 characters"):
        read_request({"image": TEXT}, 10)
    monkeypatch.setattr(module, "MOST_TEXT", len(TEXT))
    monkeypatch.setattr(module, "MOST_BYTES", len(FILE) - 1)
    with pytest.raises(RefusedError, match="too large: 256 bytes"):
        read_request({"image": TEXT}, 10)


def test_a_wrong_option_is_told_before_the_image_is_looked_at() -> None:
    with pytest.raises(RefusedError, match="unknown option"):
        read_request({"image": "not base64", "tpo": 3}, 10)
