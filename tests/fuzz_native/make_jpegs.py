"""Makes the JPEG files that the fuzzer of the decoder starts from: .venv/bin/python tests/fuzz_native/make_jpegs.py

Needs cjpeg (Debian: libjpeg-turbo-progs). One small file of each kind that the format has: a fuzzer finds
a kind by chance only where a file of it is at hand.
"""

import io
import struct
import subprocess
from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).parent / "corpus/jpeg"
SIZE = (23, 17)  # no multiple of a block: every file has edges that are filled up

# The arguments of cjpeg and what it is given: the picture in colour ("P6") or in grey ("P5").
_ENCODED = {
    "baseline-444": ("-sample", "1x1"),
    "baseline-422": ("-sample", "2x1"),
    "baseline-440": ("-sample", "1x2"),
    "baseline-420": ("-sample", "2x2"),
    "baseline-411": ("-sample", "4x1"),
    "baseline-odd-factors": ("-sample", "2x2,2x1,1x2"),
    "baseline-rgb": ("-rgb",),
    "baseline-gray": ("-grayscale",),
    "optimized": ("-optimize", "-quality", "30"),
    "restart": ("-restart", "1B"),
    "restart-rows": ("-restart", "1", "-sample", "2x2"),
    "progressive-420": ("-progressive", "-sample", "2x2"),
    "progressive-444": ("-progressive", "-sample", "1x1", "-quality", "95"),
    "progressive-gray": ("-progressive", "-grayscale"),
    "progressive-restart": ("-progressive", "-restart", "2B"),
    "arithmetic": ("-arithmetic",),
    "arithmetic-progressive": ("-arithmetic", "-progressive"),
    "arithmetic-restart": ("-arithmetic", "-restart", "1B"),
    "quantised-to-16-bits": ("-quality", "1"),
}


def _picture() -> Image.Image:
    """A gradient with a hard edge in it: coefficients of every frequency, in little space."""
    picture = Image.new("RGB", SIZE)
    for x in range(SIZE[0]):
        for y in range(SIZE[1]):
            picture.putpixel((x, y), (11 * x % 256, 15 * y % 256, 255 if x > y else 31 * x * y % 256))
    return picture


def _cjpeg(picture: Image.Image, *arguments: str) -> bytes:
    given = io.BytesIO()
    picture.save(given, "PPM")
    return subprocess.run(
        ["cjpeg", *arguments], input=given.getvalue(), capture_output=True, check=True
    ).stdout


def _pillow(picture: Image.Image, **options: object) -> bytes:
    made = io.BytesIO()
    picture.save(made, "JPEG", quality=60, **options)
    return made.getvalue()


def _exif(orientation: int, order: str) -> bytes:
    """An APP1 payload with nothing but the orientation (Exif 2.32, 4.6.4)."""
    start = {"<": b"II*\0", ">": b"MM\0*"}[order]
    directory = struct.pack(f"{order}IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    return b"Exif\0\0" + start + directory


def main() -> None:
    """Write all of them."""
    picture = _picture()
    files = {name: _cjpeg(picture, *arguments) for name, arguments in _ENCODED.items()}
    inks = picture.convert("CMYK")
    files |= {
        "cmyk": _pillow(inks),
        "cmyk-progressive": _pillow(inks, progressive=True),
        "ycck": _ycck(_pillow(inks)),
        "one-pixel": _pillow(picture.crop((5, 5, 6, 6))),
        "wide": _pillow(picture.resize((400, 1))),
        "high": _pillow(picture.resize((1, 400)), progressive=True),
        "large": _cjpeg(picture.resize((640, 480)), "-quality", "5", "-optimize"),
        "comment-and-profile": _pillow(picture, comment=b"a comment", icc_profile=bytes(range(64))),
        "no-tables": _without(files["baseline-420"], 0xC4),
        "no-end": files["baseline-420"][:-2],
        "progressive-no-end": files["progressive-420"][:-2],
        "half": files["baseline-420"][: len(files["baseline-420"]) * 4 // 5],
        "progressive-half": files["progressive-420"][: len(files["progressive-420"]) * 4 // 5],
    }
    for orientation in range(1, 9):
        order = "<>"[orientation % 2]
        files[f"orientation-{orientation}"] = _pillow(picture, exif=_exif(orientation, order))
    for name, content in files.items():
        (FOLDER / f"{name}.jpg").write_bytes(content)
    print(len(files), "files,", sum(map(len, files.values())), "bytes")


def _ycck(cmyk: bytes) -> bytes:
    """The same file with Adobe's marker saying that its components are YCCK: transform 2."""
    at = cmyk.index(b"Adobe") + 11
    return cmyk[:at] + b"\2" + cmyk[at + 1 :]


def _without(file: bytes, marker: int) -> bytes:
    """The file without its first segment of the kind `marker`."""
    at = file.index(bytes((0xFF, marker)))
    return file[:at] + file[at + 2 + int.from_bytes(file[at + 2 : at + 4], "big") :]


if __name__ == "__main__":
    main()
