"""Writes a build's context, made in memory, as the tar archive that every builder takes."""

import io
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO


def write_context(context: Mapping[str, bytes | Path], out: IO[bytes]) -> None:
    """Write `context` as a tar archive: the same files give the same bytes, whoever owns them.

    The layer cache of the engine compares content, mode and owner, so those are levelled: 0755 or 0644, root.
    """
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, source in sorted(_files(context)):
            entry = tarfile.TarInfo(name)
            if isinstance(source, bytes):
                entry.size, entry.mode = len(source), 0o644
                archive.addfile(entry, io.BytesIO(source))
                continue
            status = source.stat()
            entry.size, entry.mode = status.st_size, 0o755 if status.st_mode & 0o100 else 0o644
            with source.open("rb") as file:
                archive.addfile(entry, file)


def _files(context: Mapping[str, bytes | Path]) -> Iterator[tuple[str, bytes | Path]]:
    for name, source in context.items():
        if isinstance(source, Path) and source.is_dir():
            for path in source.rglob("*"):
                inside = path.relative_to(source)
                if path.is_file() and "__pycache__" not in inside.parts:
                    yield f"{name}/{inside.as_posix()}" if name not in ("", ".") else inside.as_posix(), path
        else:
            yield name, source
