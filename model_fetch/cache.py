"""The files of the cache: verify what is there, keep one writer for each part, put a whole file in place."""

import contextlib
import errno
import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from model_fetch.catalog import Asset, Catalog, Row
from model_fetch.catalog_toml import parse_catalog
from model_fetch.errors import CacheUnwritable, DiskFull

CATALOG = Path(__file__).with_name("catalog.toml")
BUNDLED = Path(__file__).with_name("bundled")
"""The folder of the files that come with under48, laid out as a mirror."""

_PIECE = 1 << 20
_POLL = 0.05  # seconds between two looks at a lock; a blocking flock() in a thread would not notice a stop
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def load_catalog() -> Catalog:
    """The catalogue that comes with under48."""
    return parse_catalog(CATALOG.read_text(encoding="utf-8"))


def list_catalog(catalog: Catalog, cache: Path) -> tuple[Row, ...]:
    """Everything there is as rows, with what is bundled and what the cache holds. Reads every file that is there."""
    return catalog.rows(
        bundled=lambda asset: is_cached(asset, BUNDLED), cached=lambda asset: is_cached(asset, cache)
    )


def is_cached(asset: Asset, cache: Path) -> bool:
    """Whether the cache holds the asset with the right size and digest.

    Raises:
        CacheUnwritable: the file is there and cannot be read.
    """
    path = cache / asset.location
    with _disk(path):
        try:
            if path.stat().st_size != asset.bytes:
                return False
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == asset.sha256
        except (FileNotFoundError, NotADirectoryError):
            return False


class Stopped(Exception):
    """The work was called off from outside."""


class Part:
    """A file on its way, `<name>.part` beside its place; exists only while this process holds its lock.

    Every byte is handed to the system at once, so whatever ends the process leaves a resumable part.
    """

    def __init__(self, path: Path, fd: int, asset: Asset) -> None:
        self._path = path
        self._fd = fd
        self._asset = asset
        self._digest = hashlib.sha256()
        self.size = 0
        with _disk(path):
            if os.fstat(fd).st_size > asset.bytes:
                os.ftruncate(fd, 0)
            while piece := os.read(fd, _PIECE):
                self._digest.update(piece)
                self.size += len(piece)
        self.pieced = self.size > 0
        """Whether the bytes come from more than one answer, so that a wrong digest may be a wrong seam."""

    @property
    def missing(self) -> int:
        """How many bytes the file still lacks."""
        return self._asset.bytes - self.size

    @property
    def right(self) -> bool:
        """Whether the content is what the catalogue promises."""
        return self._digest.hexdigest() == self._asset.sha256

    def write(self, piece: bytes) -> None:
        """Append the piece; raises DiskFull or CacheUnwritable, with all that found room kept."""
        view = memoryview(piece)
        with _disk(self._path):
            while view:
                written = os.write(self._fd, view)
                self._digest.update(view[:written])
                self.size += written
                view = view[written:]

    def restart(self) -> None:
        """Drop all bytes."""
        with _disk(self._path):
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
        self._digest = hashlib.sha256()
        self.size = 0
        self.pieced = False

    def finish(self, path: Path) -> None:
        """Put the file in its place, on disk before it gets its name."""
        with _disk(path):
            os.fsync(self._fd)
            self._path.replace(path)


@contextlib.contextmanager
def locked_part(asset: Asset, cache: Path, stop: threading.Event) -> Iterator[Part]:
    """The asset's part, held by nobody else; waits while another process or thread holds it.

    The part itself is what is locked, so no lock files stay behind. An empty part is removed at the end.

    Raises:
        DiskFull, CacheUnwritable: it cannot be made.
        Stopped: `stop` was set while waiting.
    """
    path = cache / f"{asset.location}.part"
    fd = _open_locked(path, stop)
    try:
        yield Part(path, fd, asset)
    finally:
        if os.fstat(fd).st_size == 0 and _is_at(fd, path):
            with contextlib.suppress(OSError):  # it would only be tidier without
                path.unlink()
        os.close(fd)


def _open_locked(path: Path, stop: threading.Event) -> int:
    with _disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with _disk(path):
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            while not _try_lock(fd, path):
                if stop.wait(_POLL):
                    raise Stopped  # noqa: TRY301 -- the lock is to be let go as for any other end
        except BaseException:
            os.close(fd)
            raise
        if _is_at(fd, path):
            return fd
        os.close(fd)  # its former holder has finished or removed it: what is locked is another file by now


def _try_lock(fd: int, path: Path) -> bool:
    with _disk(path):  # some network file systems have no locks
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Turn what the system says about a file of the cache into what a user can act on."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise DiskFull(
                f"{path}: no room left ({error.strerror}). What has come so far is kept: make room and run "
                "again, or choose another cache folder"
            ) from error
        raise CacheUnwritable(
            f"{path}: the cache cannot be used there ({error.strerror}). "
            "Mend the permissions, or choose another cache folder"
        ) from error
