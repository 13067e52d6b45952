"""Folders and whatever else a path leads to."""

import io
import os
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import audit
from audit.errors import PassedOverError, UnreadableEntryError, UnreadableTargetError
from audit.readers.folder import read_file, read_folder
from audit.tree import Anomaly


def test_a_folder_is_read_with_its_links_unfollowed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "a").chmod(0o4711)
    (tmp_path / "sub").mkdir(mode=0o750)
    (tmp_path / "sub" / "same").hardlink_to(tmp_path / "a")
    (tmp_path / "out").symlink_to("/etc")
    os.mkfifo(tmp_path / "pipe")
    tree = read_folder(tmp_path)
    assert {path: entry.kind for path, entry in tree.entries.items()} == {
        "/": "dir",
        "/a": "file",
        "/sub": "dir",
        "/sub/same": "file",
        "/out": "symlink",
        "/pipe": "other",
    }
    assert (tree.entries["/a"].size, tree.entries["/a"].mode) == (5, 0o4711)
    assert tree.entries["/sub/same"].same_as == "/a"
    assert tree.entries["/sub"].mode == 0o750
    assert tree.resolve("/out/passwd") is None
    assert tree.read("/sub/same", 3) == b"123"


def test_a_pipe_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnreadableEntryError, match="no content"):
        read_folder(tmp_path).entries["/pipe"].open()


def test_a_file_that_went_away_is_passed_over_with_a_note(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    tree = read_folder(tmp_path)
    (tmp_path / "a").unlink()
    with pytest.raises(PassedOverError, match="No such file"):
        tree.read("/a", 1)
    (finding,) = audit.check(audit.analyse(tree))
    assert (finding.rule, finding.severity, finding.subject) == (
        "not-read",
        audit.Severity.NOTE,
        str(tmp_path),
    )
    assert finding.message == "1 path not read, No such file or directory: /a"


def test_what_has_taken_the_place_of_a_file_is_not_followed_nor_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").write_bytes(b"12345")
    tree = read_folder(tmp_path)
    for name in "ab":
        (tmp_path / name).unlink()
    (tmp_path / "a").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "b")
    with pytest.raises(UnreadableEntryError, match="Too many levels of symbolic links"):
        tree.read("/a", 1)
    assert tree.read("/b", 1) == b""


class Disk:
    """A disk on which some folders are of another device, may not be listed, or went away."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, faults: Mapping[str, int | Exception]) -> None:
        self.faults = faults
        self.stat, self.scandir = Path.stat, os.scandir
        monkeypatch.setattr(Path, "stat", lambda place, **options: self.status(place, **options))  # noqa: PLW0108
        monkeypatch.setattr(os, "scandir", self.listed)

    def status(self, place: Path, **options: bool) -> os.stat_result:
        fault, status = self.faults.get(place.name), self.stat(place, **options)
        if isinstance(fault, int):
            return os.stat_result((*status[:2], fault, *status[3:]))
        return status

    def listed(self, place: str) -> Any:
        fault = self.faults.get(place.rpartition("/")[2])
        if isinstance(fault, Exception):
            raise fault
        return self.scandir(place)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (-1, "another file system is mounted there"),
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (OSError(5, "Input/output error"), "Input/output error"),
        (FileNotFoundError(2, "No such file or directory"), None),
    ],
)
def test_a_folder_that_cannot_be_entered_is_left_empty_with_a_note(
    fault: int | Exception, why: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("odd", "plain"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"1")
    Disk(monkeypatch, {"odd": fault})
    tree = read_folder(tmp_path)
    monkeypatch.undo()
    assert set(tree.entries) == {"/", "/odd", "/plain", "/plain/file"}
    findings = audit.check(audit.analyse(tree))
    assert [one.message for one in findings] == ([f"1 path not read, {why}: /odd"] if why else [])
    assert {one.severity for one in findings} <= {audit.Severity.NOTE}


def test_a_file_of_another_file_system_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine mounts /etc/hosts and /etc/resolv.conf by themselves."""
    (tmp_path / "hosts").write_bytes(b"1")
    Disk(monkeypatch, {tmp_path.name: -1})
    assert read_folder(tmp_path).read("/hosts", 1) == b"1"


def test_what_was_not_read_of_the_runtime_is_noted(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w"):
        pass
    unread = Anomaly(kind="not-read", name="/usr", why="it rains")
    runtime = replace(read_folder(tmp_path), name="here", anomalies=(unread,))
    findings = audit.check(audit.analyse(audit.read(tmp_path / "a.zip"), runtime=runtime))
    assert [(one.rule, one.subject) for one in findings] == [("not-read", "here")]


@pytest.mark.parametrize(
    ("read", "error", "rule"),
    [
        (read_folder, PermissionError(13, "Permission denied"), "not-read"),
        (
            lambda folder: read_file(folder / "a"),
            PermissionError(13, "Permission denied"),
            "unreadable-entry",
        ),
        (read_folder, OSError(5, "Input/output error"), "unreadable-entry"),
    ],
    ids=["denied-in-a-folder", "denied-by-itself", "damaged"],
)
def test_a_file_that_cannot_be_read_is_an_error_unless_it_is_one_of_a_folder_and_not_ours(
    read: Callable[[Path], audit.Tree],
    error: OSError,
    rule: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    tree = read(tmp_path)

    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("audit.readers.folder._File", fails)
    (finding,) = audit.check(audit.analyse(tree))
    assert finding.rule == rule
    assert str(error.strerror) in finding.message
    assert rule == "not-read" or finding.remedy == "see that it may be read, and that its disk is whole"


def test_a_file_that_fails_while_it_is_read_is_an_unreadable_entry() -> None:
    tree = read_file("/proc/self/mem")  # its first page is never mapped: reading it is an input/output error
    with pytest.raises(UnreadableEntryError, match="cannot read /proc/self/mem: Input/output error"):
        tree.read("/mem", 1)
    with tree.entries["/mem"].open() as content, pytest.raises(UnreadableEntryError, match="Input/output"):
        content.read()


def test_a_folder_that_is_not_there_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(UnreadableTargetError, match="none: No such file or directory"):
        read_folder(tmp_path / "none")


def test_a_target_is_told_by_its_content(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.tar", "w") as archive:
        archive.writestr("x", b"")
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        # A tar whose last bytes look like the end of a zip.
        tar.add(tmp_path / "a.tar", "inner.zip")
    (tmp_path / "a.zip").write_bytes(layer.getvalue()[:4096])
    with tarfile.open(tmp_path / "image", "w") as tar:
        for name, content in {
            "layer.tar": layer.getvalue(),
            "c.json": b"{}",
            "manifest.json": b'[{"Config":"c.json","Layers":["layer.tar"]}]',
        }.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    (tmp_path / "elf").write_bytes(b"\x7fELF" + b"\0" * 600)
    forms = {name: audit.read(tmp_path / name).form for name in ("a.tar", "a.zip", "image", "elf", ".")}
    assert forms == {"a.tar": "zip", "a.zip": "tar", "image": "image", "elf": "file", ".": "folder"}


@pytest.mark.parametrize("content", [None, b"", b"text", b"\x7fEL"])
def test_what_is_no_target_is_refused_in_words(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "x").write_bytes(content)
    with pytest.raises(UnreadableTargetError, match=r"Name an image, zip, wheel, tar .*, folder or ELF file"):
        audit.read(tmp_path / "x")


@pytest.mark.parametrize("make", [os.mkfifo, lambda place: place.symlink_to("/dev/zero")])
def test_what_has_no_end_is_refused_and_not_read(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "x")
    with pytest.raises(UnreadableTargetError, match="is a pipe, socket or device: save it as a file"):
        audit.read(tmp_path / "x")


def test_a_target_that_fails_while_it_is_read_is_refused_in_words() -> None:
    with pytest.raises(UnreadableTargetError, match="cannot read /proc/self/mem: Input/output error"):
        audit.read("/proc/self/mem")
