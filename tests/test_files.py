"""Files that a user names: a pipe is not waited for, a device not read, and no more than was agreed held in memory."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from files import Unreadable, read_file

MOST = 1000


def _folder(path: Path) -> None:
    path.mkdir()


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def _of(count: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with path.open("wb") as file:
            file.truncate(count)  # takes no room on the disk

    return make


REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "nothing": (lambda _path: None, "No such file or directory"),
    "a-folder": (_folder, "it is a folder, not a file"),
    "a-pipe": (os.mkfifo, "it is a pipe, not a file"),
    "a-socket": (_socket, "it is a socket, not a file"),
    "a-device": (lambda path: path.symlink_to("/dev/zero"), "it is a device, not a file"),
    "one-byte-too-many": (_of(MOST + 1), "it has 1,001 bytes, at most 1,000 are read"),
    "ten-gigabytes": (_of(10 << 30), "it has 10,737,418,240 bytes, at most 1,000 are read"),
    "larger-than-it-says": (lambda path: path.symlink_to("/proc/self/status"), "more than the 1,000 bytes"),
}


@pytest.mark.parametrize(("make", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_file_or_too_large_is_refused_with_the_reason(
    tmp_path: Path, make: Callable[[Path], None], reason: str
) -> None:
    path = tmp_path / "named"
    make(path)
    with pytest.raises(Unreadable, match=reason):
        read_file(path, MOST)


def test_a_file_of_just_so_many_bytes_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(MOST))
    assert read_file(tmp_path / "file", MOST) == bytes(MOST)


def _pipe(content: bytes) -> tuple[int, Path]:
    """A pipe as a shell's `<(command)` makes it; the end to be closed, and the name of the other."""
    end, writer = os.pipe()
    os.write(writer, content)
    os.close(writer)
    return end, Path(f"/dev/fd/{end}")


def test_a_pipe_is_read_to_its_end_where_that_is_meant() -> None:
    end, name = _pipe(b"x" * MOST)
    assert read_file(name, MOST, pipes=True) == b"x" * MOST
    os.close(end)
    end, name = _pipe(b"x" * (MOST + 1))
    with pytest.raises(Unreadable, match="more than the 1,000 bytes"):
        read_file(name, MOST, pipes=True)
    os.close(end)


def test_a_pipe_that_nobody_writes_to_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Unreadable, match="it is a pipe that nobody writes to"):
        read_file(tmp_path / "pipe", MOST, pipes=True)
