"""Reads whatever a path leads to: folder, zip or wheel, saved image, tar of a root file system, ELF file."""

from __future__ import annotations

import os
import stat
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from audit.elf import MAGIC
from audit.errors import UnreadableTargetError
from audit.readers.folder import read_file, read_folder
from audit.readers.image import read_saved, refuse_old_image
from audit.readers.packing import packing_of
from audit.readers.parts import is_zip
from audit.readers.saved import TOLD_BY, FolderParts, TarParts, is_saved_image
from audit.readers.tars import is_tar_header, read_tar, tar_members, unpacked
from audit.readers.zips import read_zip

if TYPE_CHECKING:
    from typing import IO

    from audit.tree import Tree

_WHAT = "Name an image, zip, wheel, tar (plain or packed with gzip, bzip2, xz or zstd), folder or ELF file."


def read(path: str | os.PathLike[str], architecture: str = "") -> Tree:
    """Read the target at `path`, told by its content, not its name. Its file stays open as long as the tree.

    Of an image for several platforms, that for `architecture` (in OCI's words) is read where there is such.

    Raises:
        UnreadableTargetError: there is nothing at `path`, or nothing that is known here.
        UnreadableEntryError: it is an image in a folder, of which a part may not be read.
        TooLargeError: it is a zip bomb, or has more entries than are read.
    """
    place, name = Path(path), os.fspath(path)
    if place.is_dir():
        parts = FolderParts(place)
        return read_saved(parts, name, architecture) if is_saved_image(parts) else read_folder(place)
    try:
        # A pipe can be read only once, and opening it waits; a device may have no end.
        if not stat.S_ISREG(place.stat().st_mode):
            raise UnreadableTargetError(f"{name} is a pipe, socket or device: save it as a file. {_WHAT}")
        file = place.open("rb")
        head = file.read(tarfile.BLOCKSIZE)
    except OSError as error:
        raise UnreadableTargetError(f"cannot read {name}: {error.strerror}. {_WHAT}") from error
    # A tar may end with a zip, so its magic counts before what zipfile finds near the end (a self-extracting
    # zip).
    if packing_of(head) or head[257:262] == b"ustar" or is_tar_header(head):
        return _read_tar(unpacked(file, name), name, architecture)
    if head.startswith(MAGIC):
        file.close()
        return read_file(place)
    if is_zip(file, head):
        return read_zip(file, name)
    raise UnreadableTargetError(f"{name} is not a zip, tar, ELF file or folder. {_WHAT}")


def _read_tar(tar: IO[bytes], name: str, architecture: str) -> Tree:
    """Read a tar of an image or of a root file system."""
    top = {member.name.removeprefix("./") for member in tar_members(tar, name)}
    if top & TOLD_BY and is_saved_image(parts := TarParts(tar, name)):
        return read_saved(parts, name, architecture)
    refuse_old_image(top, name)
    return read_tar(tar, name)
