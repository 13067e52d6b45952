import dataclasses
import errno
import io
import json
import os
from pathlib import Path

import pytest
from PIL import Image

from images.activation import ENTITY_BYTES, Classified, Status
from images.invoker import Activation
from images.verify import Photo, PhotoMissing, Ranked, Stage, as_json, find_photos, judge
from model_fetch import Catalog, UnknownName, load_catalog
from tests.small_catalog import PANDA, SHEEP, small_catalog

PANDA_NAMES = ("giant panda, panda", "lesser panda, red panda")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: a sample under another name, a photo of one's own, and what is no photo."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.jpg").write_bytes(PANDA)
    (tmp_path / "album/deep").mkdir(parents=True)
    (tmp_path / "album/b.jpg").write_bytes(b"mine")
    (tmp_path / "album/a.jpg").write_bytes(SHEEP)
    (tmp_path / "album/.hidden").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/fetched").write_bytes(SHEEP)
    (tmp_path / "odd").mkdir()
    os.mkfifo(tmp_path / "odd/pipe")
    with (tmp_path / "odd/huge").open("wb") as file:
        file.truncate(10 << 30)  # takes no room on the disk
    return tmp_path


def _fetch(name: str) -> Path:
    return Path("cache/fetched") if small_catalog().sample(name) else Path()


FOUND = {
    "a-file-is-known-by-its-digest-whatever-it-is-called": (["mine.jpg"], [("panda.jpg", PANDA_NAMES)]),
    "a-file-that-nobody-knows": (["album/b.jpg"], [("b.jpg", ())]),
    "a-folder-in-order-without-hidden-files-and-folders": (
        ["album"],
        [("sheep.jpg", ("sheep",)), ("b.jpg", ())],
    ),
    "the-name-of-a-sample": (["sheep.jpg"], [("sheep.jpg", ("sheep",))]),
    "several-in-their-order": (
        ["album/b.jpg", "sheep.jpg", "mine.jpg"],
        [("b.jpg", ()), ("sheep.jpg", ("sheep",)), ("panda.jpg", PANDA_NAMES)],
    ),
    "none": ([], []),
}


@pytest.mark.parametrize(("names", "expected"), FOUND.values(), ids=FOUND)
def test_photos_are_found(
    folder: Path, names: list[str], expected: list[tuple[str, tuple[str, ...]]]
) -> None:
    assert folder.is_dir()
    photos = [file.read() for file in find_photos(names, small_catalog(), _fetch)]
    assert [(photo.name, photo.accepted) for photo in photos] == expected
    assert all(photo.content for photo in photos)


def test_a_file_wins_over_the_sample_of_its_name(folder: Path) -> None:
    (folder / "sheep.jpg").write_bytes(b"my own sheep")
    (file,) = find_photos(["sheep.jpg"], small_catalog(), _fetch)
    assert file.read() == Photo(name="sheep.jpg", content=b"my own sheep")


MISSING = {
    "no-such-file": (
        "album/c.jpg",
        r"album/c\.jpg cannot be read \(No such file or directory\): name a photo",
    ),
    "no-such-folder": ("nowhere/c.jpg", r"nowhere/c\.jpg cannot be read"),
    "no-such-file-here": ("./panda.jpg", r"panda\.jpg cannot be read"),
    "below-a-file": ("mine.jpg/x", "Not a directory"),
    "an-empty-folder": ("empty", "the folder empty holds no files: name a photo"),
    "a-name-that-no-file-can-have": ("x" * 300, os.strerror(errno.ENAMETOOLONG)),
    "a-device": ("/dev/zero", r"/dev/zero cannot be read \(it is a device, not a file\): name a photo"),
    "a-pipe-that-nobody-writes-to": ("odd/pipe", r"odd/pipe cannot be read \(it is a pipe, not a file\)"),
    "ten-gigabytes": ("odd/huge", r"\(it has 10,737,418,240 bytes, at most 41,943,040 are read\)"),
    "a-folder-with-ten-gigabytes-in-it": ("odd", r"odd/huge cannot be read \(it has 10,737,418,240 bytes"),
}


@pytest.mark.parametrize(("name", "said"), MISSING.values(), ids=MISSING)
def test_what_is_not_there_is_said(folder: Path, name: str, said: str) -> None:
    assert folder.is_dir()
    with pytest.raises(PhotoMissing, match=said) as caught:
        find_photos([name], small_catalog(), _fetch)
    assert caught.value.exit_code == 2


def test_a_folder_is_read_a_photo_at_a_time(folder: Path) -> None:
    files = find_photos(["album"], small_catalog(), _fetch)
    (folder / "album/a.jpg").write_bytes(b"changed")
    (folder / "album/b.jpg").unlink()
    assert files[0].read().content == b"changed"
    with pytest.raises(PhotoMissing, match=r"album/b\.jpg cannot be read"):
        files[1].read()


def test_a_name_that_is_neither_file_nor_sample_gets_near_matches(folder: Path) -> None:
    assert folder.is_dir()
    with pytest.raises(UnknownName, match=r"'pandas\.jpg': did you mean panda\.jpg"):
        find_photos(["pandas.jpg"], small_catalog(), _fetch)


def test_the_sample_that_verify_takes_by_default_is_in_the_catalogue() -> None:
    catalog: Catalog = load_catalog()
    assert catalog.sample("panda.jpg").accepted


def _activation(
    result: object = None,
    *,
    status: Status = Status.SUCCESS,
    kept: bool = True,
    ms: float = 10,
    log: str = "x",
) -> Activation:
    return Activation(
        status_code=200,
        body=json.dumps(result),
        classified=Classified(status=status, result=result, kept=kept),
        elapsed_ms=ms,
        stdout=(log,),
    )


def _answer(*names: str) -> dict[str, object]:
    return {"results": [{"className": name, "probability": 0.5} for name in names]}


INIT = _activation(ms=300, log="from /init")
GOOD = _activation(_answer("giant panda, panda", "bear"))
ERROR = _activation({"error": "no image"}, status=Status.APPLICATION_ERROR)
GONE = _activation({"error": "exhausted its memory"}, status=Status.DEVELOPER_ERROR, kept=False)

PROBLEMS: dict[str, tuple[list[Activation], tuple[str, ...], str]] = {
    "right": ([INIT, GOOD, GOOD], PANDA_NAMES, ""),
    "nothing-is-known-of-it": ([INIT, GOOD, GOOD], (), ""),
    "without-warm-calls": ([INIT, GOOD], PANDA_NAMES, ""),
    "taken-for-something-else": (
        [INIT, _activation(_answer("sheep", "giant panda, panda"))],
        PANDA_NAMES,
        "not what it shows: giant panda or lesser panda",
    ),
    "the-action-says-no": ([INIT, ERROR, ERROR], (), "application error: {'error': 'no image'}"),
    "init-fails": ([GONE], (), "developer error: {'error': 'exhausted its memory'}"),
    "the-first-run-breaks-off": ([INIT, GONE], (), "developer error: {'error': 'exhausted its memory'}"),
    "a-warm-run-breaks-off": ([INIT, GOOD, GONE], (), "developer error: {'error': 'exhausted its memory'}"),
    "warm-is-not-cold": (
        [INIT, GOOD, GOOD, _activation(_answer("bear"))],
        (),
        "a warm answer differs from the cold one",
    ),
    "no-classes": (
        [INIT, _activation({"results": []})],
        PANDA_NAMES,
        'the answer names no classes: {"results": []}',
    ),
    "another-form": ([INIT, _activation({"label": "x"})], (), 'the answer names no classes: {"label": "x"}'),
    "a-list": ([INIT, _activation(["panda"])], (), 'the answer names no classes: ["panda"]'),
    "results-of-another-form": (
        [INIT, _activation({"results": "panda"})],
        (),
        'the answer names no classes: {"results": "panda"}',
    ),
    "a-probability-that-is-none": (
        [INIT, _activation({"results": [{"className": "x", "probability": "high"}]})],
        (),
        'the answer names no classes: {"results": [{"className": "x", "probability": "high"}]}',
    ),
}


@pytest.mark.parametrize(("activations", "accepted", "problem"), PROBLEMS.values(), ids=PROBLEMS)
def test_the_verdict_says_what_is_wrong(
    activations: list[Activation], accepted: tuple[str, ...], problem: str
) -> None:
    photo = Photo(name="a.jpg", content=b"x", accepted=accepted)
    assert judge(photo, activations, start_ms=1, memory=1).problem == problem


def test_a_long_answer_is_quoted_in_part() -> None:
    activations = [INIT, _activation({"x": "y" * 5000})]
    problem = judge(Photo(name="a", content=b""), activations, start_ms=1, memory=1).problem
    assert len(problem) < 300


def test_the_verdict_has_the_times_of_a_cold_start_and_the_median_of_the_warm_calls() -> None:
    runs = [dataclasses.replace(GOOD, elapsed_ms=ms) for ms in (50, 9, 30, 10)]
    verdict = judge(Photo(name="a.jpg", content=b""), [INIT, *runs], start_ms=200, memory=7)
    assert (verdict.start_ms, verdict.init_ms, verdict.run_ms, verdict.cold_ms) == (200, 300, 50, 550)
    assert (verdict.warm_ms, verdict.memory, verdict.log) == (10, 7, ("x",))
    assert verdict.top == (
        Ranked(class_name="giant panda, panda", probability=0.5),
        Ranked(class_name="bear", probability=0.5),
    )


def test_when_init_fails_the_log_is_its_own_and_no_run_is_made_up() -> None:
    init = dataclasses.replace(GONE, elapsed_ms=40, stdout=("Traceback",))
    verdict = judge(Photo(name="a.jpg", content=b""), [init], start_ms=200, memory=0)
    assert (verdict.cold_ms, verdict.run_ms, verdict.warm_ms) == (240, 0, 0)
    assert (verdict.top, verdict.log) == ((), ("Traceback",))


OVERHEAD = len(b'{"image":"","top":5}')  # as the platform counts: what the JSON has beside the base64


def test_a_request_that_the_platform_would_refuse_is_noted_and_no_failure() -> None:
    fits = Photo(name="a.jpg", content=bytes((ENTITY_BYTES - OVERHEAD) // 4 * 3))
    assert (ENTITY_BYTES - 4 < fits.request_bytes <= ENTITY_BYTES, fits.too_large) == (True, False)
    assert judge(fits, [INIT, GOOD], start_ms=1, memory=1).note == ""
    larger = dataclasses.replace(fits, content=fits.content + b"x")
    verdict = judge(larger, [INIT, GOOD], start_ms=1, memory=1)
    assert verdict.note == (
        f"the platform would refuse this request of {larger.request_bytes:,} bytes, it takes 1,048,576: "
        "--shrink makes the photo smaller"
    )
    assert verdict.problem == ""


def test_a_photo_that_is_too_large_is_shrunk_keeps_its_name_and_classes_and_says_so() -> None:
    file = io.BytesIO()
    Image.effect_noise((1500, 1000), 90).save(file, "PNG")
    photo = Photo(name="a.png", content=file.getvalue(), accepted=PANDA_NAMES)
    assert photo.too_large
    small = photo.shrunk()
    assert (small.name, small.accepted, small.too_large) == ("a.png", PANDA_NAMES, False)
    assert small.shrunk_from == len(photo.content)
    verdict = judge(small, [INIT, GOOD], start_ms=1, memory=1)
    assert verdict.note == f"shrunk from {len(photo.content):,} to {len(small.content):,} bytes"
    assert as_json([verdict])[0]["shrunk_from"] == len(photo.content)
    assert small.shrunk() is small


def test_the_stages_are_those_that_the_first_activation_logged() -> None:
    lines = (
        "elapsed loadModel 4.4 ms",
        "memory loadModel rss=21.5 MiB",
        "elapsed",
        "elapsed x y ms",
        "elapsed main 6.9 ms",
    )
    runs = [dataclasses.replace(GOOD, stdout=lines), GOOD]
    verdict = judge(Photo(name="a.jpg", content=b""), [INIT, *runs], start_ms=1, memory=1)
    assert verdict.stages == (Stage(name="loadModel", ms=4.4), Stage(name="main", ms=6.9))
    assert as_json([verdict])[0]["stages"] == [{"name": "loadModel", "ms": 4.4}, {"name": "main", "ms": 6.9}]


def test_as_json_has_every_field_and_what_follows_from_them() -> None:
    photo = Photo(name="a.jpg", content=b"", accepted=("sheep",))
    good = judge(Photo(name="b.jpg", content=b""), [INIT, GOOD], start_ms=1, memory=3)
    bad = judge(photo, [INIT, GOOD], start_ms=1, memory=3)
    values = as_json([good, bad])
    assert json.dumps(values, allow_nan=False)
    assert [value["ok"] for value in values] == [True, False]
    assert values[0] == {
        "photo": "b.jpg",
        "top": (
            {"class_name": "giant panda, panda", "probability": 0.5},
            {"class_name": "bear", "probability": 0.5},
        ),
        "start_ms": 1,
        "init_ms": 300,
        "run_ms": 10,
        "warm_ms": 10,
        "memory": 3,
        "log": ("x",),
        "problem": "",
        "note": "",
        "shrunk_from": 0,
        "stages": [],
        "cold_ms": 311,
        "ok": True,
    }
