"""Pictures of every kind become upright RGB on white, or a refusal; never anything else."""

import io
import struct
import zlib

import pytest
from PIL import Image

from action.classifier.formats import sniff
from action.classifier.pixels import Pixels, decode
from action.classifier.request import RefusedError
from tests import pictures
from tests.catalogued import picture
from tests.odd_images import ODD_IMAGES
from tests.variants import variant

MIB = 1024 * 1024
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def save(image: Image.Image, name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def corners(pixels: Pixels) -> list[tuple[int, ...]]:
    """Top left, top right, bottom left, bottom right."""
    last = (pixels.height - 1) * pixels.width
    return [
        tuple(pixels.rgb[3 * at : 3 * at + 3]) for at in (0, pixels.width - 1, last, last + pixels.width - 1)
    ]


def flag(width: int = 30, height: int = 20) -> Image.Image:
    """Red, green, blue and white quarters, in reading order."""
    image = Image.new("RGB", (width, height), WHITE)
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    return image


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("GIF", {}),
        ("WebP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ],
)
def test_each_format_is_decoded(name: str, options: dict[str, object]) -> None:
    file = save(flag(), name, **options)
    assert sniff(file) == name
    pixels = decode(file, name, 100 * MIB)
    assert (pixels.width, pixels.height, len(pixels.rgb)) == (30, 20, 30 * 20 * 3)
    assert corners(pixels) == [RED, GREEN, BLUE, WHITE]


UPRIGHT = [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("name", ["PNG", "WebP", "TIFF"])
@pytest.mark.parametrize("orientation", [*pictures.STORED, 9])
def test_pictures_are_turned_as_their_orientation_says(name: str, orientation: int) -> None:
    turn = pictures.STORED.get(orientation)
    stored = flag() if turn is None else flag().transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if name == "WebP" else {}
    pixels = decode(save(stored, name, exif=exif, **options), name, 100 * MIB)
    assert (pixels.width, pixels.height) == (30, 20)
    assert corners(pixels) == UPRIGHT


def test_transparency_shows_white() -> None:
    half = Image.new("RGBA", (2, 1), (255, 0, 0, 128))
    half.putpixel((1, 0), (0, 0, 0, 0))
    expected = [(255, 127, 127), WHITE]
    assert corners(decode(save(half, "PNG"), "PNG", MIB))[:2] == expected
    assert corners(decode(save(half, "WebP", lossless=True, exact=True), "WebP", MIB))[:2] == expected
    gray = Image.new("LA", (2, 1), (0, 255))
    gray.putpixel((1, 0), (0, 0))
    assert corners(decode(save(gray, "PNG"), "PNG", MIB))[:2] == [(0, 0, 0), WHITE]
    palette = Image.new("P", (2, 1), 1)
    palette.putpalette([*BLUE, *RED])
    palette.putpixel((1, 0), 0)
    for name in ("PNG", "GIF"):
        assert corners(decode(save(palette, name, transparency=0), name, MIB))[:2] == [RED, WHITE]
    plain = Image.new("RGB", (2, 1), RED)
    plain.putpixel((1, 0), BLUE)
    assert corners(decode(save(plain, "PNG", transparency=BLUE), "PNG", MIB))[:2] == [RED, WHITE]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK"])
def test_each_mode_of_a_tiff_is_decoded(mode: str) -> None:
    image = Image.new("RGB", (2, 1), WHITE)
    image.putpixel((1, 0), (0, 0, 0))
    pixels = decode(save(image.convert(mode), "TIFF"), "TIFF", MIB)
    assert corners(pixels)[:2] == [WHITE, (0, 0, 0)]


def gray_png(values: list[int], bits: int) -> bytes:
    header = struct.pack(">IIBBBBB", len(values), 1, bits, 0, 0, 0, 0)
    row = b"\0" + b"".join(value.to_bytes(bits // 8, "big") for value in values)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(row)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(pictures.png_chunk(*part) for part in parts)


DEEP = [0, 128, 129, 0x4000, 0x8000, 0xFFFF]
SHALLOW = [0, 0, 1, 64, 128, 255]


def test_sixteen_bits_are_scaled_by_their_whole_range() -> None:
    assert list(decode(gray_png(DEEP, 16), "PNG", MIB).rgb[::3]) == SHALLOW
    image = Image.new("I;16", (6, 1))
    for at, value in enumerate(DEEP):
        image.putpixel((at, 0), value)
    assert list(decode(save(image, "TIFF"), "TIFF", MIB).rgb[::3]) == SHALLOW


@pytest.mark.parametrize(
    ("mode", "values", "expected"),
    [
        ("F", [0.0, 0.5, 1.0], [0, 128, 255]),
        ("F", [-10.0, 0.0, 10.0], [0, 128, 255]),
        ("F", [0.25, 0.25, 0.25], [64, 64, 64]),
        ("I", [0, 100_000, 200_000], [0, 128, 255]),
        ("I", [7, 7, 7], [0, 0, 0]),
    ],
)
def test_floats_and_long_integers_are_shown_in_their_own_range(
    mode: str, values: list[float], expected: list[int]
) -> None:
    image = Image.new(mode, (3, 1))
    for at, value in enumerate(values):
        image.putpixel((at, 0), value)
    assert list(decode(save(image, "TIFF"), "TIFF", MIB).rgb[::3]) == expected


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_floats_without_a_value_are_refused(value: float) -> None:
    with pytest.raises(RefusedError, match="infinite or not numbers"):
        decode(save(Image.new("F", (3, 1), value), "TIFF"), "TIFF", MIB)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((2047, 30), (2047, 30)),
        ((2048, 30), (1024, 30)),
        ((30, 5000), (30, 1250)),
        ((3001, 2100), (1501, 1050)),
    ],
)
def test_long_sides_are_averaged_so_that_later_steps_stay_small(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    pixels = decode(save(flag(*size), "PNG", compress_level=1), "PNG", 100 * MIB)
    assert (pixels.width, pixels.height) == expected
    assert corners(pixels) == UPRIGHT


def test_averaging_in_bands_is_averaging_at_once() -> None:
    noise = Image.effect_noise((2500, 2200), 80).convert("RGB")
    pixels = decode(save(noise, "BMP"), "BMP", 100 * MIB)
    assert pixels.rgb == noise.reduce((2, 2)).tobytes()


@pytest.mark.parametrize(("name", "per_pixel"), [("PNG", 4), ("BMP", 4), ("WebP", 16), ("TIFF", 12)])
def test_pictures_over_the_budget_are_refused_from_their_header(name: str, per_pixel: int) -> None:
    file = save(flag(300, 200), name)
    needed = 300 * 200 * per_pixel
    assert decode(file, name, needed).width == 300
    with pytest.raises(RefusedError, match=f"the {name} image is too large: 300 x 200 pixels"):
        decode(file, name, needed - 1)


def test_a_row_that_is_too_long_is_refused_for_that_whatever_memory_there_is() -> None:
    said = r"1048577 x 1 pixels, at most 1048576 in a row or column are decoded"
    with pytest.raises(RefusedError, match=said):
        decode(pictures.png(1_048_577, 1, pixels=b""), "PNG", 1 << 40)


def test_what_a_picture_takes_and_what_is_there_are_never_the_same_number() -> None:
    file = pictures.png(1024, 1024, pixels=b"")
    with pytest.raises(RefusedError, match="pixels take 1 MiB, 0 MiB are there"):
        decode(file, "PNG", MIB - 1)
    with pytest.raises(RefusedError, match="pixels take 2 MiB, 1 MiB are there"):
        decode(pictures.png(1025, 1024, pixels=b""), "PNG", MIB)


@pytest.mark.parametrize("name", ["PNG", "BMP", "GIF", "WebP", "TIFF"])
def test_a_bomb_is_too_large_whatever_the_budget(name: str) -> None:
    with pytest.raises(RefusedError, match="too large"):
        decode(pictures.bombs()[name], name, 1 << 40)


def test_strips_that_lie_in_one_another_are_refused_before_they_are_read() -> None:
    with pytest.raises(
        RefusedError, match="its parts are said to have 12000000000 bytes, the whole file has"
    ):
        decode(pictures.strips_in_strips(), "TIFF", 100 * MIB)


def test_a_tiff_may_have_fifty_thousand_strips() -> None:
    def strips(count: int) -> bytes:
        fields = {273: (pictures.TIFF_CONTENT,) * count, 279: (1,) * count}
        return pictures.tiff(fields, b"\x80", width=1, height=count, rows=1)

    assert decode(strips(49_990), "TIFF", 100 * MIB).rgb[:3] == b"\x80" * 3
    with pytest.raises(RefusedError, match="it has 50001 parts, at most 50000 are read"):
        decode(strips(50_001), "TIFF", 100 * MIB)


def test_tiles_count_with_what_lies_outside_of_the_picture() -> None:
    with pytest.raises(RefusedError, match="16 x 60000 pixels take"):
        decode(pictures.tiles_around_a_strip(), "TIFF", 100 * MIB)


def test_a_bmp_with_run_lengths_may_have_four_million_pixels() -> None:
    with pytest.raises(
        RefusedError, match="1000000 x 100 pixels, and with run lengths at most 4000000 are decoded"
    ):
        decode(pictures.ends_of_lines(), "BMP", 200 * MIB)


def test_a_tiff_that_gives_the_bytes_of_its_strips_wrongly_within_reason_is_decoded() -> None:
    fields = {273: (pictures.TIFF_CONTENT,), 279: (3 * 600,)}
    file = pictures.tiff(fields, b"\xff" * 600, width=30, height=20, rows=20)
    assert decode(file, "TIFF", MIB).rgb == b"\xff" * 1800


def test_chunks_before_the_pixels_are_passed_over() -> None:
    pixels = decode(pictures.chunks_without_content(50_000), "PNG", MIB)
    assert pixels.rgb == b"\x80" * 3


@pytest.mark.parametrize("name", ["PNG", "BMP", "GIF", "WebP", "TIFF"])
def test_a_file_cut_anywhere_is_refused_or_whole_but_never_an_accident(name: str) -> None:
    image = Image.effect_noise((40, 30), 60).convert("RGB")
    file = save(image, name)
    whole = decode(file, name, MIB).rgb
    refused = 0
    for length in range(0, len(file), max(1, len(file) // 150)):
        try:
            outcome: object = decode(file[:length], name, MIB).rgb
        except RefusedError as error:
            outcome = str(error)
        if isinstance(outcome, str):
            refused += 1
            assert name in outcome
            assert "0x" not in outcome
        else:
            assert outcome == whole
    assert refused > 50


JUDGED = [
    name
    for name, odd in ODD_IMAGES.items()
    if odd.expected != "either"  # what Pillow 9.4 and 13 agree on
]


@pytest.mark.parametrize("file_name", JUDGED)
def test_odd_images_are_decoded_or_refused(file_name: str) -> None:
    file = picture(file_name)
    name = sniff(file)
    assert name is not None
    if ODD_IMAGES[file_name].expected == "decoded":
        pixels = decode(file, name, 100 * MIB)
        assert len(pixels.rgb) == pixels.width * pixels.height * 3 > 0
    else:
        with pytest.raises(RefusedError):
            decode(file, name, 100 * MIB)


@pytest.mark.parametrize(
    "kind", ["24bit.bmp", "lossy.webp", "lzw.tiff", "palette.png", "rgb.png", "still.gif"]
)
def test_variants_of_one_photo_look_alike(kind: str) -> None:
    file = variant(f"panda-{kind}")
    name = sniff(file)
    assert name is not None
    pixels = decode(file, name, 100 * MIB)
    assert (pixels.width, pixels.height) == (720, 480)
    assert sum(pixels.rgb) / len(pixels.rgb) == pytest.approx(88.1, abs=0.5)
