"""What a saved image lies in, a tar or a folder: opens its parts by their names, and tells one that is an image."""

from __future__ import annotations

import os
import posixpath
from typing import IO, TYPE_CHECKING, Protocol

from audit.readers.folder import open_file
from audit.readers.tars import tar_members, window
from audit.tree import MAX_SYMLINKS, normalise

if TYPE_CHECKING:
    import tarfile
    from pathlib import Path

MANIFEST, INDEX, LAYOUT = "manifest.json", "index.json", "oci-layout"
TOLD_BY = frozenset((MANIFEST, INDEX, LAYOUT))
# By these words a manifest is told from a file of that name in an application: those of browsers have it, too.
_WORDS = {MANIFEST: (b"[", b'"Layers"'), INDEX: (b"{", b'"manifests"')}
MAX_JSON_BYTES = 16 << 20


class Parts(Protocol):
    """The files of a saved image."""

    def open(self, path: str) -> IO[bytes] | None:
        """Return a regular file's content, seekable and open as long as it is used; None where there is none.

        Raises:
            UnreadableEntryError: it may not be read.
        """


class TarParts:
    """The files of an image in a tar; contents stay in it."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        """List the members of a tar from a seekable binary file object.

        Raises:
            UnreadableTargetError: it is no tar, or damaged.
            TooLargeError: it has too many entries.
        """
        self.file = file
        self.members: dict[str, tarfile.TarInfo] = {
            posixpath.normpath(member.name): member for member in tar_members(file, name)
        }

    def open(self, path: str) -> IO[bytes] | None:
        """Return the content of a member, as `Parts.open`."""
        member = self.members.get(posixpath.normpath(path))
        # Old engines store a layer that several images share once, and lead to it by symlinks.
        for _ in range(MAX_SYMLINKS):
            if member is None or not (member.issym() or member.islnk()):
                break
            folder = posixpath.dirname(member.name) if member.issym() else ""
            member = self.members.get(posixpath.normpath(posixpath.join(folder, member.linkname)))
        if member is None or not member.isreg():
            return None
        return window(self.file, member.offset_data, member.size)


class FolderParts:
    """The files of an image in a folder: an OCI layout, or a saved image unpacked. None outside of it is opened."""

    def __init__(self, folder: Path) -> None:
        """Remember where the folder really is."""
        self.top = os.path.realpath(folder)

    def open(self, path: str) -> IO[bytes] | None:
        """Return the content of a file, as `Parts.open`; symlinks are followed as long as they stay in the folder."""
        try:
            inside = normalise(path)
        except UnicodeEncodeError:  # a lone surrogate, as JSON may hold
            return None
        place = os.path.realpath(self.top + (inside or "/"))
        if not place.startswith(f"{self.top.rstrip('/')}/") or not os.path.isfile(place):  # noqa: PTH113 - never raises
            return None
        return open_file(place)


def is_saved_image(parts: Parts) -> bool:
    """Whether files are those of a saved image, by the words in its manifest or index, or by its `oci-layout`.

    Raises:
        UnreadableEntryError: one of these may not be read.
    """
    for name, (start, word) in _WORDS.items():
        file = parts.open(name)
        if file is not None:
            with file:
                content = file.read(MAX_JSON_BYTES)
            if content.lstrip().startswith(start) and word in content:
                return True
    layout = parts.open(LAYOUT)
    if layout is not None:
        layout.close()
    return layout is not None
