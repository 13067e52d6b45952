"""What `verify` keeps for `audit --observed`, and what the option refuses."""

from pathlib import Path

import pytest

from cli.audits import Misuse
from cli.observed import keep, observation
from errors import Under48Error

IMAGE = "sha256:" + "1" * 64


def test_all_photos_together_are_kept_and_read_again(tmp_path: Path) -> None:
    file = tmp_path / "build" / "observed.json"
    said: list[str] = []
    keep(file, IMAGE, {"a.jpg": frozenset({"/x", "/y"}), "b.png": frozenset({"/y", "/z"})}, said.append)
    for named in ("", str(file)):
        found = observation(named, IMAGE, file)
        assert found is not None
        assert (found.paths, found.photos, found.image) == (("/x", "/y", "/z"), ("a.jpg", "b.png"), IMAGE)
    assert said == []


@pytest.mark.parametrize("seen", [{}, {"a.jpg": frozenset({"/x"}), "b.jpg": frozenset()}])
def test_what_was_not_wholly_seen_is_not_kept_and_leaves_what_was(
    tmp_path: Path, seen: dict[str, frozenset[str]]
) -> None:
    file = tmp_path / "observed.json"
    file.write_text("old")
    said: list[str] = []
    keep(file, IMAGE, seen, said.append)
    assert file.read_text() == "old"
    assert bool(said) == bool(seen)


def test_without_the_option_nothing_is_read(tmp_path: Path) -> None:
    assert observation(None, IMAGE, tmp_path / "none") is None


def test_a_text_of_proc_is_taken_for_any_image() -> None:
    found = observation("/proc/self/maps", IMAGE)
    assert found is not None
    assert found.image == ""
    assert found.paths


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("", IMAGE, None), "name the FILE"),
        (("", IMAGE, Path("none.json")), "no none.json beside the build yet: give `./inv verify` first"),
        (("none.json", IMAGE, None), "cannot read none.json: No such file"),
        ((".", IMAGE, None), r"cannot read \.: it is a folder, not a file"),
        (("/dev/zero", IMAGE, None), "cannot read /dev/zero: it is a device, not a file"),
        (("", "sha256:2", Path("seen.json")), r"is of another image \(sha256:1+, and this is sha256:2\)"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: tuple[str, str, Path | None], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    keep(tmp_path / "seen.json", IMAGE, {"a.jpg": frozenset({"/x"})}, print)
    with pytest.raises(Under48Error, match=words) as caught:
        observation(*asked)
    assert caught.value.exit_code == Misuse.exit_code


def test_of_a_file_that_is_no_image_the_id_is_not_compared(tmp_path: Path) -> None:
    file = tmp_path / "seen.json"
    keep(file, IMAGE, {"a.jpg": frozenset({"/x"})}, print)
    assert observation(str(file), "") is not None
