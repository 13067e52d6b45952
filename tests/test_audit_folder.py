"""Folders and whatever else a path leads to."""

import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import audit
from audit.errors import UnreadableEntryError, UnreadableTargetError
from audit.readers.folder import read_file, read_folder


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


def test_a_file_that_went_away_is_an_unreadable_entry(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    tree = read_folder(tmp_path)
    (tmp_path / "a").unlink()
    with pytest.raises(UnreadableEntryError, match="No such file"):
        tree.read("/a", 1)
    assert [finding.rule for finding in audit.check(audit.analyse(tree))] == ["unreadable-entry"]


def test_a_file_that_fails_while_it_is_read_is_an_unreadable_entry() -> None:
    tree = read_file("/proc/self/mem")  # its first page is never mapped: reading it is an input/output error
    with pytest.raises(UnreadableEntryError, match="cannot read /proc/self/mem: Input/output error"):
        tree.read("/mem", 1)
    with tree.entries["/mem"].open() as content, pytest.raises(UnreadableEntryError, match="Input/output"):
        content.read()


def test_what_is_to_be_done_about_an_unreadable_file_fits_the_target(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    tree = read_folder(tmp_path)
    (tmp_path / "a").unlink()
    (finding,) = audit.check(audit.analyse(tree))
    assert finding.remedy == "see that it may be read, and that its disk is whole"


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
    with pytest.raises(UnreadableTargetError, match="Name an image, zip, wheel, tar, folder or ELF file"):
        audit.read(tmp_path / "x")


@pytest.mark.parametrize("make", [os.mkfifo, lambda place: place.symlink_to("/dev/zero")])
def test_what_has_no_end_is_refused_and_not_read(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "x")
    with pytest.raises(UnreadableTargetError, match="is a pipe, socket or device: save it as a file"):
        audit.read(tmp_path / "x")


def test_a_target_that_fails_while_it_is_read_is_refused_in_words() -> None:
    with pytest.raises(UnreadableTargetError, match="cannot read /proc/self/mem: Input/output error"):
        audit.read("/proc/self/mem")
