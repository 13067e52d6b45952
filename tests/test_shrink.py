"""Photos become small enough, and stay the same picture."""

import io

import pytest
from PIL import Image

from images.shrink import NotShrinkable, shrink


def save(image: Image.Image, name: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def halves(width: int, height: int) -> Image.Image:
    """Red on the left, noise on the right."""
    image = Image.effect_noise((width, height), 90).convert("RGB")
    image.paste((255, 0, 0), (0, 0, width // 2, height))
    return image


@pytest.mark.parametrize("most", [700_000, 150_000, 40_000])
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WebP", "TIFF"])
def test_it_is_a_jpeg_under_the_limit_of_the_same_shape(name: str, most: int) -> None:
    content = shrink(save(halves(1800, 1200), name), most)
    small = opened(content)
    assert len(content) <= most
    assert small.format == "JPEG"
    assert small.width / small.height == pytest.approx(1.5, rel=0.01)
    assert small.convert("RGB").getpixel((small.width // 4, small.height // 2)) == pytest.approx(
        (254, 0, 0), abs=6
    )


def test_no_more_is_taken_away_than_the_limit_wants() -> None:
    content = save(halves(1800, 1200), "PNG")
    assert opened(shrink(content, 10_000_000)).size == (1800, 1200)
    assert opened(shrink(save(halves(4096, 1024), "JPEG"), 10_000_000)).size == (2048, 512)


def test_it_is_turned_upright_and_the_file_says_no_longer_that_it_must_be() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    small = opened(shrink(save(halves(900, 600), "JPEG", exif=exif), 10_000_000))
    assert small.size == (600, 900)
    assert small.getexif().get(0x0112) is None
    assert small.getpixel((300, 200)) == pytest.approx((254, 0, 0), abs=6)  # what was left is above


def test_what_is_transparent_is_white() -> None:
    clear = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
    assert opened(shrink(save(clear, "PNG"), 100_000)).getpixel((50, 50)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("content", "most", "said"),
    [
        (b"no picture", 1000, "it cannot be shrunk: it is no picture that Pillow knows"),
        (save(halves(300, 300), "PNG")[:2000], 1000, "it cannot be shrunk: "),
        (save(halves(300, 300), "PNG"), 100, "it cannot be shrunk to 100 bytes"),
    ],
    ids=["no picture", "cut off", "too small a limit"],
)
def test_what_cannot_be_shrunk_is_said(content: bytes, most: int, said: str) -> None:
    with pytest.raises(NotShrinkable, match=said) as caught:
        shrink(content, most)
    assert caught.value.exit_code == 2
    assert "0x" not in str(caught.value)
