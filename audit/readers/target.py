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
from audit.readers.gunzip import MAGIC as GZIP_MAGIC
from audit.readers.image import read_image, refuse_old_image
from audit.readers.parts import is_zip
from audit.readers.tars import inflated, is_tar_header, read_tar, tar_members
from audit.readers.zips import read_zip

if TYPE_CHECKING:
    from audit.tree import Tree

_WHAT = "Name an image, zip, wheel, tar, folder or ELF file."


def read(path: str | os.PathLike[str]) -> Tree:
    """Read the target at `path`, told by its content, not its name. Its file stays open as long as the tree.

    Raises:
        UnreadableTargetError: there is nothing at `path`, or nothing that is known here.
        TooLargeError: it is a zip bomb, or has more entries than are read.
    """
    place, name = Path(path), os.fspath(path)
    if place.is_dir():
        return read_folder(place)
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
    if head.startswith(GZIP_MAGIC) or head[257:262] == b"ustar" or is_tar_header(head):
        tar = inflated(file, name)
        top = {member.name.removeprefix("./") for member in tar_members(tar, name)}
        if top & {"manifest.json", "index.json"}:
            return read_image(tar, name)
        refuse_old_image(top, name)
        return read_tar(tar, name)
    if head.startswith(MAGIC):
        file.close()
        return read_file(place)
    if is_zip(file, head):
        return read_zip(file, name)
    raise UnreadableTargetError(f"{name} is no zip, tar, ELF file or folder. {_WHAT}")
