"""What is packed with gzip, bzip2, xz or zstd: read whatever made it, bounded, and refused where it is damaged."""

import gzip
import io
import random
import resource
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import audit
from audit.errors import AuditError, TooLargeError, UnreadableTargetError
from audit.readers import builder, packing
from audit.readers.packing import FIRST_BYTES, PACKED_BYTES, packing_of, unpack
from audit.readers.tars import read_tar, unpacked
from tests.packed import PACK, SKIPPABLE, with_window
from tests.test_audit_tars import member, tarred

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

HARMLESS = 1 << 20
NOISE = random.Random(1).randbytes(70_000)
PLAIN = tarred(member("usr/lib/a", NOISE), member("b", b"1"))
STRICT = ("xz", "zstd")  # which refuse what follows and is none of theirs, as their programs do


def unpacked_to(content: bytes, out: io.BytesIO, limit: int) -> None:
    how = packing_of(content)
    assert how is not None
    unpack(io.BytesIO(content), how, out, limit, "x")


class Written(io.BytesIO):
    """Counts what is written to it."""

    bytes = 0

    def write(self, content: "ReadableBuffer") -> int:
        self.bytes += len(memoryview(content))
        return super().write(content)


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize(
    "content",
    [PLAIN, b"", bytes(3 << 20), bytes(3 << 20) + NOISE, (NOISE[:3000] + bytes(1 << 20)) * 5],
    ids=["tar", "empty", "zeros", "zeros-first", "by-turns"],
)
def test_each_packing_gives_what_was_packed(packing: str, content: bytes) -> None:
    packed, out = PACK[packing](content), io.BytesIO()
    how = packing_of(packed)
    assert how is not None
    assert how.name == packing
    unpacked_to(packed, out, len(content))
    assert out.getvalue() == content


@pytest.mark.parametrize("packing", PACK)
def test_a_packed_root_file_system_is_read_as_the_plain_one(packing: str, tmp_path: Path) -> None:
    place = tmp_path / "root.bin"  # its content tells, not its name
    place.write_bytes(PACK[packing](PLAIN))
    tree = audit.read(place)
    assert (tree.form, tree.entries) == ("tar", read_tar(io.BytesIO(PLAIN), "x").entries)
    assert tree.read("/usr/lib/a", 1 << 20) == NOISE


@pytest.mark.parametrize("packing", PACK)
def test_streams_one_after_another_are_one_content(packing: str) -> None:
    pack, half, out = PACK[packing], len(PLAIN) // 2, io.BytesIO()
    skipped = SKIPPABLE if packing == "zstd" else b""
    parts = [
        skipped,
        pack(PLAIN[:half]),
        skipped,
        skipped,
        pack(b""),
        pack(PLAIN[half:]),
        skipped,
        bytes(700),
    ]
    unpacked_to(b"".join(parts), out, len(PLAIN))
    assert out.getvalue() == PLAIN


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("rest", [b"This is no stream", bytes(99_999) + b"\0\1", b"\x1f", b"\x1f?"])
def test_what_follows_the_last_stream_is_taken_as_its_own_program_does(packing: str, rest: bytes) -> None:
    packed = PACK[packing](PLAIN) + rest
    if packing in STRICT or rest.startswith(b"\x1f\x8b"):
        with pytest.raises(
            UnreadableTargetError, match=r"cannot unpack x: what follows byte [\d,]+ is not packed"
        ):
            unpacked(io.BytesIO(packed), "x")
    else:
        assert unpacked(io.BytesIO(packed), "x").seek(0, io.SEEK_END) == len(PLAIN)


@pytest.mark.parametrize("packing", PACK)
def test_what_is_cut_short_at_every_64th_byte_is_refused_in_words(packing: str, tmp_path: Path) -> None:
    packed = PACK[packing](PLAIN[:20_000])
    for length in range(0, len(packed), 64):
        (tmp_path / "x").write_bytes(packed[:length])
        with pytest.raises(
            UnreadableTargetError, match=r"cannot (unpack|read) .*x|is not a zip, tar, ELF file"
        ):
            audit.read(tmp_path / "x")


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("back", [1, 8, 40])
def test_a_second_stream_that_is_damaged_or_cut_short_is_refused(packing: str, back: int) -> None:
    packed = PACK[packing](PLAIN)
    harm = len(packed) - back
    flipped = packed[:harm] + bytes([packed[harm] ^ 0xFF]) + packed[harm + 1 :]
    with pytest.raises(UnreadableTargetError, match="cannot unpack x"):
        unpacked(io.BytesIO(packed + packed[:harm]), "x")
    if packing != "zstd":  # zstd.compress writes no checksum, as zstd(1) would
        with pytest.raises(UnreadableTargetError, match="cannot unpack x"):
            unpacked(io.BytesIO(packed + flipped), "x")


@pytest.mark.parametrize("packing", PACK)
@settings(max_examples=40, deadline=None)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 1 << 14), st.binary(min_size=1, max_size=4)), min_size=1, max_size=5
    )
)
def test_an_altered_one_is_read_or_refused_in_words(packing: str, changes: list[tuple[int, bytes]]) -> None:
    content = bytearray(PACK[packing](PLAIN[:9000]))
    for at, new in changes:
        at %= len(content)  # noqa: PLW2901
        content[at : at + len(new)] = new
    with suppress(AuditError):
        assert read_tar(io.BytesIO(content), "x").form == "tar"


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize(
    "bomb", [bytes(300 * len(NOISE)) + NOISE, bytes(8 << 20)], ids=["zeros-first", "zeros"]
)
def test_of_a_bomb_no_more_is_written_than_is_harmless(
    packing: str, bomb: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builder, "HARMLESS_BYTES", HARMLESS)
    packed = PACK[packing](bomb)
    out, limit = Written(), builder.most_from(len(packed))
    with pytest.raises(TooLargeError, match=f"x unpacks to more than {limit:,} bytes: a bomb is not read"):
        unpacked_to(packed, out, limit)
    # So much is read before it is counted; bzip2 gives nothing of a block, into which all of it fits, before its end.
    read = len(packed) if packing == "bzip2" else FIRST_BYTES + PACKED_BYTES
    assert out.bytes <= builder.most_from(read)


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("room", [0, 1, HARMLESS, 2 * HARMLESS - 1])
def test_no_more_is_written_than_there_is_room_for(packing: str, room: int) -> None:
    out = Written()
    with pytest.raises(TooLargeError, match=f"unpacks to more than {room:,} bytes"):
        unpacked_to(PACK[packing](bytes(2 * HARMLESS)), out, room)
    assert out.bytes <= room


@pytest.mark.parametrize("packing", PACK)
def test_zeros_before_what_makes_up_for_them_are_no_bomb(
    packing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builder, "HARMLESS_BYTES", HARMLESS)
    content, out = bytes(150 * len(NOISE)) + NOISE, Written()
    packed = PACK[packing](content)
    unpacked_to(packed, out, builder.most_from(len(packed)))
    assert out.getvalue() == content
    assert out.bytes == len(content)


@pytest.mark.parametrize("packing", STRICT)
@pytest.mark.parametrize(("log", "taken"), [(27, True), (28, False), (30, False)])
def test_a_window_is_read_up_to_128_mib(packing: str, log: int, taken: bool) -> None:  # noqa: FBT001
    packed = with_window(PLAIN, packing, log)
    if taken:
        assert unpacked(io.BytesIO(packed), "x").seek(0, io.SEEK_END) == len(PLAIN)
    else:
        with pytest.raises(
            TooLargeError, match="x takes more than 128 MiB of memory to unpack: pack it again"
        ):
            unpacked(io.BytesIO(packed), "x")


@pytest.mark.parametrize("packing", PACK)
def test_a_bomb_costs_little_memory(packing: str, tmp_path: Path) -> None:
    place = tmp_path / "bomb"
    place.write_bytes(PACK[packing](bytes(8 << 20)) * 40)
    code = (
        "import resource, sys, audit\n"
        "try:\n    audit.read(sys.argv[1])\n"
        "except audit.AuditError as error:\n    print(type(error).__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, place],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (512 << 20, 512 << 20)),
    )
    assert done.stdout == "TooLargeError\n"


def test_a_file_of_nothing_but_streams_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "MAX_STREAMS", 1000)
    empty = gzip.compress(b"")
    assert unpacked(io.BytesIO(empty * 999), "x").read() == b""
    with pytest.raises(TooLargeError, match="x consists of more than 1,000 streams"):
        unpacked(io.BytesIO(empty * 1000), "x")


@pytest.mark.parametrize("packing", PACK)
def test_what_is_packed_and_holds_no_tar_is_refused_in_words(packing: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(PACK[packing](NOISE))
    with pytest.raises(UnreadableTargetError, match=r"cannot read .*x as a tar"):
        audit.read(tmp_path / "x")
