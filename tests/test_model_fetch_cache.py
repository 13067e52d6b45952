import hashlib
import threading
from pathlib import Path

import pytest

from model_fetch import Asset, CacheUnwritable, is_cached, list_catalog, load_catalog
from model_fetch.cache import Stopped, locked_part

CONTENT = b"weights"
ASSET = Asset(
    url="https://example.org/some/file.bin",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    bytes=len(CONTENT),
    licence="none: a test",
)
GO = threading.Event()


def put(cache: Path, name: str, content: bytes) -> Path:
    path = cache / "example.org" / "some" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("content", "cached"), [
    (CONTENT, True),
    (b"WEIGHTS", False),
    (CONTENT[:-1], False),
    (CONTENT + b"!", False),
    (b"", False),
])  # fmt: skip
def test_only_the_right_content_counts_as_cached(tmp_path: Path, content: bytes, cached: bool) -> None:  # noqa: FBT001
    assert not is_cached(ASSET, tmp_path)
    put(tmp_path, "file.bin", content)
    assert is_cached(ASSET, tmp_path) is cached


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / ASSET.location
    path.mkdir(parents=True)
    size = path.stat().st_size
    asset = Asset(url=ASSET.url, sha256=ASSET.sha256, bytes=size, licence="-")
    with pytest.raises(CacheUnwritable, match="Is a directory"):
        is_cached(asset, tmp_path)


def test_the_list_tells_what_the_cache_holds(tmp_path: Path) -> None:
    catalog = load_catalog()
    assert not any(row.cached for row in list_catalog(catalog, tmp_path))
    assert {row.name for row in list_catalog(catalog, tmp_path)} == {entry.name for entry in catalog.entries}


def test_a_part_takes_up_what_is_there_and_becomes_the_file(tmp_path: Path) -> None:
    put(tmp_path, "file.bin.part", CONTENT[:3])
    with locked_part(ASSET, tmp_path, GO) as part:
        assert (part.size, part.missing, part.pieced, part.right) == (3, 4, True, False)
        part.write(CONTENT[3:])
        assert (part.missing, part.right) == (0, True)
        part.finish(tmp_path / ASSET.location)
    assert is_cached(ASSET, tmp_path)
    assert [path.name for path in (tmp_path / ASSET.location).parent.iterdir()] == ["file.bin"]


def test_an_empty_part_is_removed_and_another_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "example.org" / "some" / "file.bin.part"
    with locked_part(ASSET, tmp_path, GO) as part:
        assert path.exists()
    assert not path.exists()
    with locked_part(ASSET, tmp_path, GO) as part:
        part.write(b"we")
    assert path.read_bytes() == b"we"
    with locked_part(ASSET, tmp_path, GO) as part:
        part.restart()
    assert not path.exists()


def test_waiting_for_a_part_ends_when_called_off(tmp_path: Path) -> None:
    stop = threading.Event()
    with locked_part(ASSET, tmp_path, GO):
        threading.Timer(0.1, stop.set).start()
        with pytest.raises(Stopped), locked_part(ASSET, tmp_path, stop):
            pass


def test_who_waited_for_a_part_that_became_the_file_does_not_touch_the_file(tmp_path: Path) -> None:
    seen: list[int] = []

    def wait_and_write() -> None:
        with locked_part(ASSET, tmp_path, GO) as part:
            seen.append(part.size)
            part.write(b"other")

    waiter = threading.Thread(target=wait_and_write)
    with locked_part(ASSET, tmp_path, GO) as part:
        part.write(CONTENT)
        waiter.start()
        waiter.join(0.2)
        assert seen == []
        part.finish(tmp_path / ASSET.location)
    waiter.join()
    assert seen == [0]
    assert is_cached(ASSET, tmp_path)
