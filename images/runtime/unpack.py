"""Lays out the code of an action as files: source text, zip or tar.gz, told apart by their first bytes."""

# ruff: noqa: PTH102, PTH103, PTH108, PTH118, PTH120, PTH211 - pathlib costs 7 ms of a cold start
from __future__ import annotations

import binascii
import io
import os
import stat
from functools import partial

from .messages import MalformedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import IO

MOST_BYTES = 512 * 1024 * 1024
MOST_MEMBERS = 50_000
_MOST_LINK = 4096
_BLOCK = 1 << 20

_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_GZIP = b"\x1f\x8b\x08"


class CodeError(Exception):
    """The code cannot become an action; the text says why and belongs into the action's log."""


class _Member:
    """One entry of an archive: a folder, a file that `read` opens, or a symbolic link to `link`."""

    __slots__ = ("link", "mode", "name", "read")

    def __init__(
        self,
        name: str,
        *,
        mode: int = 0o644,
        read: Callable[[], IO[bytes]] | None = None,
        link: str | None = None,
    ) -> None:
        self.name = name
        self.mode = mode
        self.read = read
        self.link = link


def decode(code: str, *, binary: bool) -> bytes:
    """Turn the text of /init into bytes; MalformedError when it is called binary and is no base64."""
    if not binary:
        return code.encode("utf-8", "surrogatepass")
    try:
        if "\n" in code or "\r" in code:
            code = "".join(code.split())
        return binascii.a2b_base64(code, strict_mode=True)
    except ValueError as error:
        raise MalformedError(f"cannot decode the request: {error}") from None


def new_folder(roots: Iterable[str]) -> str:
    """Make a fresh folder in the first of `roots` that can be written; CodeError when none can."""
    tried = []
    for root in roots:
        for number in range(1, 1000):
            folder = os.path.join(root, f"under48-{number}", "bin")
            try:
                os.mkdir(os.path.dirname(folder), 0o700)
                os.mkdir(folder, 0o700)
            except FileExistsError:
                continue
            except OSError as error:
                tried.append(f"{root}: {error.strerror}")
                break
            return folder
    raise CodeError(f"no folder to unpack the code into ({'; '.join(tried)}): mount a tmpfs on /tmp")


def remove_folder(folder: str) -> None:
    """Remove what `new_folder` made, with all that it holds."""
    import shutil  # noqa: PLC0415

    shutil.rmtree(os.path.dirname(folder), ignore_errors=True)


def is_archive(code: bytes) -> bool:
    """Tell whether `code` is a zip or a tar.gz, by its first bytes; anything else is source text."""
    return code.startswith((*_ZIP, _GZIP))


def unpack(code: bytes, folder: str) -> None:
    """Write the files of an archive below `folder`, which must be empty, and nothing outside of it.

    Absolute names and `..` are refused. Symbolic links come last, so no file is ever written through one;
    those that lead outside are left out, and a line on stderr names them. Raises CodeError, also for more
    than MOST_BYTES.
    """
    members = _tar_members if code.startswith(_GZIP) else _zip_members
    try:
        _write(members(code), os.path.realpath(folder))
    except CodeError:
        raise
    except OSError as error:
        raise CodeError(f"the archive cannot be unpacked into {folder}: {error.strerror or error}") from None
    except Exception as error:  # noqa: BLE001 - a damaged archive gets every kind of exception out of the readers
        raise CodeError(f"the archive is damaged or of an unsupported kind: {error}") from None


def _zip_members(code: bytes) -> Iterator[_Member]:
    import zipfile  # noqa: PLC0415

    with zipfile.ZipFile(io.BytesIO(code)) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            if info.is_dir():
                yield _Member(info.filename)
            elif stat.S_ISLNK(mode):
                with archive.open(info) as file:
                    yield _Member(info.filename, link=os.fsdecode(file.read(_MOST_LINK)))
            else:
                yield _Member(info.filename, mode=mode or 0o644, read=partial(archive.open, info))


def _tar_members(code: bytes) -> Iterator[_Member]:
    import tarfile  # noqa: PLC0415

    with tarfile.open(fileobj=io.BytesIO(code), mode="r:gz") as archive:
        for info in archive:
            if info.isdir():
                yield _Member(info.name)
            elif info.issym():
                yield _Member(info.name, link=info.linkname)
            elif info.isfile() or info.islnk():  # a hard link is read as the file that it names
                yield _Member(info.name, mode=info.mode, read=partial(_opened, archive, info))
            else:
                raise CodeError(f"the archive holds {info.name!r}, which is no file, folder or link")


def _opened(archive: object, info: object) -> IO[bytes]:
    file: IO[bytes] | None = archive.extractfile(info)  # type: ignore[attr-defined]
    if file is None:
        raise CodeError("the archive holds a hard link to what is no file")
    return file


def _write(members: Iterator[_Member], folder: str) -> None:
    links: list[tuple[str, str, str]] = []
    left = MOST_BYTES
    for count, member in enumerate(members):
        if count >= MOST_MEMBERS:
            raise CodeError(f"the archive holds more than {MOST_MEMBERS} files")
        path = _inside(member.name, folder)
        is_folder = member.read is None and member.link is None
        os.makedirs(path if is_folder else os.path.dirname(path), exist_ok=True)
        if member.link is not None:
            links.append((member.name, member.link, path))
        elif member.read is not None:
            left -= _copy(member, path, left)
    made = [entry for entry in links if _link(*entry, folder)]
    # Some may lead out only now, through links that were made after them. Taking one away opens no way out.
    for name, link, path in [entry for entry in made if _leads_out(entry[2], folder)]:
        os.unlink(path)
        _leave_out(name, link)


def _inside(name: str, folder: str) -> str:
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise CodeError(f"the archive holds {name!r}, which leads out of the action's folder")
    return os.path.join(folder, *parts)


def _copy(member: _Member, path: str, left: int) -> int:
    assert member.read is not None  # noqa: S101 - for the type checker
    # Sizes in headers may lie: what counts is what comes out.
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    written = 0
    with member.read() as source, os.fdopen(target, "wb") as file:
        while block := source.read(_BLOCK):
            written += len(block)
            if written > left:
                raise CodeError(f"the archive unpacks to more than {MOST_BYTES} bytes")
            file.write(block)
        os.fchmod(file.fileno(), (member.mode & 0o777) | 0o400)
    return written


def _link(name: str, link: str, path: str, folder: str) -> bool:
    parent = os.path.dirname(path)
    if _leads_out(parent, folder) or _leads_out(os.path.join(parent, link), folder):
        _leave_out(name, link)
        return False
    if os.path.lexists(path):
        return False
    os.symlink(link, path)
    return True


def _leads_out(path: str, folder: str) -> bool:
    place = os.path.realpath(path)
    return place != folder and not place.startswith(folder + "/")


def _leave_out(name: str, link: str) -> None:
    import sys  # noqa: PLC0415

    print(f"left out: {name} -> {link}, a link out of the action's folder", file=sys.stderr)
