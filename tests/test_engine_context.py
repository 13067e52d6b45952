import hashlib
import io
import os
import tarfile
from pathlib import Path

from images.engine.context import write_context


def _archive(context: dict[str, bytes | Path]) -> bytes:
    out = io.BytesIO()
    write_context(context, out)
    return out.getvalue()


def _tree(folder: Path, *, mtime: int) -> Path:
    (folder / "deep").mkdir(parents=True)
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__/x.pyc").write_bytes(b"never")
    (folder / "run").write_bytes(b"#!/bin/sh\n")
    (folder / "run").chmod(0o744)
    (folder / "deep/b").write_bytes(b"b")
    (folder / "deep/b").chmod(0o600)
    for path in folder.rglob("*"):
        os.utime(path, (mtime, mtime))
    return folder


def test_a_folder_goes_in_whole_with_modes_levelled_and_without_caches(tmp_path: Path) -> None:
    raw = _archive(
        {"Dockerfile": b"FROM scratch\n", "src": _tree(tmp_path / "one", mtime=1), "z": tmp_path / "one/run"}
    )
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        entries = {entry.name: (entry.mode, entry.size) for entry in archive}
        assert entries == {
            "Dockerfile": (0o644, 13),
            "src/deep/b": (0o644, 1),
            "src/run": (0o755, 10),
            "z": (0o755, 10),
        }
        assert list(entries) == sorted(entries)
        assert {(entry.mtime, entry.uid, entry.uname) for entry in archive} == {(0, 0, "")}


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    first = _archive({"a": b"1", "src": _tree(tmp_path / "one", mtime=1)})
    second = _archive({"src": _tree(tmp_path / "two", mtime=99), "a": b"1"})
    assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()


def test_a_folder_may_be_the_root_of_the_context(tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(_archive({".": _tree(tmp_path / "one", mtime=1)}))) as archive:
        assert archive.getnames() == ["deep/b", "run"]
