"""Packs the action of an image, with everything it needs, into the zip that a serverless platform takes."""

import io
import zipfile
from collections.abc import Mapping

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that the format can name: equal files, equal bytes


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    """A zip of `files` by their path in it: sorted, without times, the same for the same files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3  # Unix, whatever this runs on
            entry.external_attr = (0o100755 if content.startswith(b"\x7fELF") else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return buffer.getvalue()
