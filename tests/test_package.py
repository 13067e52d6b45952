import io
import itertools
import os
import resource
import signal
import stat
import zipfile
from pathlib import Path

import pytest

from images.package import write_whole, zip_bytes

FILES = {
    "libunder48.so": b"\x7fELF" + bytes(4000),
    "__main__.py": b"print(1)\n",
    "classifier/__init__.py": b"",
    "labels.txt": "Panda größer\n".encode() * 500,
}


def test_the_same_files_give_the_same_bytes_in_any_order() -> None:
    every = {zip_bytes(dict(order)) for order in itertools.permutations(FILES.items())}
    assert len(every) == 1


def test_the_zip_holds_the_files_sorted_compressed_and_without_a_time() -> None:
    packed = zip_bytes(FILES)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == sorted(FILES)
        assert {name: archive.read(name) for name in FILES} == FILES
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_DEFLATED}
    assert len(packed) < sum(map(len, FILES.values())) / 5


def test_native_files_are_executable_and_all_others_are_not() -> None:
    with zipfile.ZipFile(io.BytesIO(zip_bytes(FILES))) as archive:
        modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
    assert modes == {name: stat.S_IFREG | (0o755 if name == "libunder48.so" else 0o644) for name in FILES}


def test_a_file_is_written_whole_into_a_folder_that_is_made_for_it(tmp_path: Path) -> None:
    path = tmp_path / "build/deep/x.zip"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [entry.name for entry in path.parent.iterdir()] == ["x.zip"]


@pytest.mark.parametrize("system_call", ["fchmod", "replace"])
def test_when_writing_fails_the_old_file_is_left_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system_call: str
) -> None:
    path = tmp_path / "x.zip"
    write_whole(path, b"old")

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, system_call, full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.zip"]


def test_a_file_size_limit_leaves_the_old_file(tmp_path: Path) -> None:
    """As a full disk does: the write itself fails, half of it done."""
    path = tmp_path / "x.zip"
    write_whole(path, b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_whole(path, bytes(1 << 17))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.zip"]
