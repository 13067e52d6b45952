"""Code as it is sent: decoded, told apart, and laid out inside one folder only."""

import base64
import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Any, cast

import pytest

from images.runtime import unpack
from images.runtime.host import Host
from images.runtime.messages import MalformedError
from images.runtime.unpack import CodeError


def make_zip(*entries: tuple[str, bytes, int]) -> bytes:
    """Entries are (name, content or link target, mode with file type)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return buffer.getvalue()


def make_tar(*entries: tuple[str, bytes, bytes]) -> bytes:
    """Entries are (name, content or link target, tar type)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content, kind in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(content)
            else:
                info.linkname = content.decode()
            archive.addfile(info, io.BytesIO(content) if kind == tarfile.REGTYPE else None)
    return buffer.getvalue()


FILE, LINK, RUN = stat.S_IFREG | 0o644, stat.S_IFLNK | 0o777, stat.S_IFREG | 0o4755


def test_code_is_decoded_as_its_flag_says() -> None:
    text = "print('☃')"
    assert unpack.decode(text, binary=False) == text.encode()
    assert unpack.decode(base64.encodebytes(b"PK" * 60).decode(), binary=True) == b"PK" * 60


@pytest.mark.parametrize("code", ["def main", "AAA", "AA=A", "☃☃☃☃"])
def test_binary_code_that_is_not_base64_is_malformed(code: str) -> None:
    with pytest.raises(MalformedError, match=r"^cannot decode the request: "):
        unpack.decode(code, binary=True)


@pytest.mark.parametrize(
    ("code", "archive"),
    [
        (make_zip(), True),
        (make_zip(("a", b"", FILE)), True),
        (make_tar(), True),
        (b"import os", False),
        (b"", False),
    ],
)
def test_archives_are_known_by_their_first_bytes(code: bytes, archive: bool) -> None:  # noqa: FBT001
    assert unpack.is_archive(code) is archive


def test_a_zip_keeps_names_contents_modes_and_inner_links(tmp_path: Path) -> None:
    code = make_zip(
        ("lib/link", b"../tool", LINK),
        ("./tool", b"run", RUN),
        ("empty/", b"", FILE),
        ("__main__.py", b"x = 1", 0),
    )
    unpack.unpack(code, str(tmp_path))
    assert (tmp_path / "__main__.py").read_bytes() == b"x = 1"
    assert (tmp_path / "empty").is_dir()
    assert os.readlink(tmp_path / "lib" / "link") == "../tool"  # noqa: PTH115
    assert stat.S_IMODE((tmp_path / "tool").stat().st_mode) == 0o755


def test_a_tar_keeps_contents_and_links_of_both_kinds(tmp_path: Path) -> None:
    code = make_tar(
        ("a/one", b"1", tarfile.REGTYPE),
        ("a/two", b"one", tarfile.SYMTYPE),
        ("three", b"a/one", tarfile.LNKTYPE),
    )
    unpack.unpack(code, str(tmp_path))
    assert [(tmp_path / name).read_bytes() for name in ("a/one", "a/two", "three")] == [b"1", b"1", b"1"]


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/tmp/evil"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str, kind: str) -> None:
    code = make_zip((name, b"x", FILE)) if kind == "zip" else make_tar((name, b"x", tarfile.REGTYPE))
    inside = tmp_path / "deep" / "bin"
    inside.mkdir(parents=True)
    with pytest.raises(CodeError, match="leads out"):
        unpack.unpack(code, str(inside))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["bin", "deep"]


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside"])
def test_links_that_lead_out_are_left_out_and_never_written_through(
    tmp_path: Path, target: str, capfd: pytest.CaptureFixture[str]
) -> None:
    inside = tmp_path / "bin"
    inside.mkdir()
    unpack.unpack(make_zip(("door", target.encode(), LINK), ("door/evil", b"x", FILE)), str(inside))
    assert "left out: door -> " in capfd.readouterr().err
    assert (inside / "door" / "evil").read_bytes() == b"x"  # the link gave way to a folder of its name
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


@pytest.mark.parametrize(
    ("links", "left"),
    [
        ([("x/y/L", "b/../.."), ("x/y/b", "../..")], ["x/y/b"]),
        ([("x/y/b", "../.."), ("x/y/L", "b/../..")], ["x/y/b"]),
        ([("x/y/M", "L/in"), ("x/y/L", "b/../.."), ("x/y/b", "../..")], ["x/y/b"]),
        ([("a/L", "b/in"), ("a/b", "../in")], ["a/L", "a/b"]),  # through another one, and inside
        ([("a", "b"), ("b", "a")], ["a", "b"]),  # a ring leads nowhere
    ],
)
def test_links_that_lead_out_through_others_are_left_out_in_whatever_order(
    tmp_path: Path, links: list[tuple[str, str]], left: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    inside = tmp_path / "deep" / "bin"
    inside.mkdir(parents=True)
    unpack.unpack(make_zip(*((name, target.encode(), LINK) for name, target in links)), str(inside))
    kept = [str(path.relative_to(inside)) for path in inside.rglob("*") if path.is_symlink()]
    assert sorted(kept) == left
    err = capfd.readouterr().err
    assert [f"left out: {name} -> " in err for name, _ in links] == [name not in left for name, _ in links]


@pytest.mark.parametrize(
    "code",
    [make_zip(("a", b"x", FILE), ("../evil", b"x", FILE)), b"PK\x03\x04nonsense"],
    ids=["after the first file", "at once"],
)
def test_an_archive_that_fails_leaves_no_folder(tmp_path: Path, code: bytes) -> None:
    with pytest.raises(CodeError):
        Host(cast("Any", None), "", [str(tmp_path)])._lay_out(code)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (make_zip(("a", b"x" * 1000, FILE))[:-30], "damaged"),
        (b"PK\x03\x04nonsense", "damaged"),
        (make_tar(("a", os.urandom(5000), tarfile.REGTYPE))[:-2000], "damaged"),
        (make_tar(("pipe", b"", tarfile.FIFOTYPE)), "no file, folder or link"),
        (make_zip(("a", bytes(range(256)), FILE)).replace(b"\x41\x42\x43", b"\x41\x42\x44"), "damaged"),
    ],
)
def test_damaged_archives_are_refused_with_a_reason(tmp_path: Path, code: bytes, text: str) -> None:
    with pytest.raises(CodeError, match=text):
        unpack.unpack(code, str(tmp_path))


def test_bombs_are_stopped_by_what_comes_out_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "MOST_BYTES", 3_000_000)
    bomb = make_zip(*((str(number), bytes(2_000_000), FILE) for number in range(3)))
    assert len(bomb) < 10_000
    with pytest.raises(CodeError, match="more than 3000000 bytes"):
        unpack.unpack(bomb, str(tmp_path))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 3_000_000
    monkeypatch.setattr(unpack, "MOST_MEMBERS", 2)
    with pytest.raises(CodeError, match="more than 2 files"):
        unpack.unpack(make_zip(*((str(number), b"", FILE) for number in range(3))), str(tmp_path))


def test_code_goes_to_the_first_folder_that_can_be_written(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    first, second = (Path(unpack.new_folder([missing, str(tmp_path)])) for _ in range(2))
    assert first.is_dir()
    assert second.is_dir()
    assert first != second
    with pytest.raises(CodeError, match="no folder to unpack the code into"):
        unpack.new_folder([missing, "/proc/nowhere"])
