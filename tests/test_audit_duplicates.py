"""Content stored more than once, found by reading only what may be equal."""

import io
from functools import partial

import pytest

from audit.duplicates import HEAD_BYTES, MIN_BYTES, Duplicate, duplicates
from audit.errors import UnreadableEntryError
from audit.readers.builder import TreeBuilder
from audit.sizes import sizes
from audit.tree import Entry, Tree

BIG = bytes(range(256)) * 40
OTHER = BIG[:-1] + b"!"


class Shelf:
    """Files in memory that remember which of them were opened."""

    def __init__(self, files: dict[str, bytes | str]) -> None:
        self.opened: list[str] = []
        builder = TreeBuilder("x")
        for path, content in files.items():
            if isinstance(content, str):
                entry = Entry(kind="file", mode=0o644, size=len(BIG), same_as=content)
            else:
                entry = Entry(
                    kind="file", mode=0o644, size=len(content), opener=partial(self.open, path, content)
                )
            builder.put(path, entry)
        self.tree: Tree = builder.build("folder")
        self.files = sizes(self.tree, self.tree.entries).files

    def open(self, path: str, content: bytes) -> io.BytesIO:
        self.opened.append(path)
        if content.startswith(b"locked"):
            raise UnreadableEntryError("locked")
        return io.BytesIO(content)


@pytest.mark.parametrize(
    ("files", "groups"),
    [
        ({"/a": BIG, "/b": BIG, "/c": OTHER}, [("/a", "/b")]),
        ({"/b": BIG, "/c": BIG, "/a": BIG}, [("/a", "/b", "/c")]),
        ({"/a": BIG, "/b": BIG, "/c": OTHER, "/d": OTHER}, [("/a", "/b"), ("/c", "/d")]),
        ({"/a": BIG, "/b": "/a"}, []),
        ({"/a": BIG[:MIN_BYTES], "/b": BIG[:MIN_BYTES]}, [("/a", "/b")]),
        ({"/a": BIG[: MIN_BYTES - 1], "/b": BIG[: MIN_BYTES - 1]}, []),
        ({"/a": b"locked" + BIG, "/b": b"locked" + BIG}, []),
    ],
    ids=["pair", "three", "two pairs of one size", "hard link", "smallest", "too small", "unreadable"],
)
def test_files_with_equal_content_are_a_group(
    files: dict[str, bytes | str], groups: list[tuple[str, ...]]
) -> None:
    shelf = Shelf(files)
    assert [group.paths for group in duplicates(shelf.tree, shelf.files).groups] == groups


def test_a_group_wastes_all_but_one() -> None:
    assert Duplicate(size=10, paths=("/a", "/b", "/c")).wasted == 20


def test_the_most_wasteful_group_comes_first() -> None:
    shelf = Shelf({"/a": BIG, "/b": BIG, "/c": BIG * 2, "/d": BIG * 2})
    assert [group.paths for group in duplicates(shelf.tree, shelf.files).groups] == [
        ("/c", "/d"),
        ("/a", "/b"),
    ]


def test_a_file_whose_size_is_its_own_is_not_opened() -> None:
    shelf = Shelf({"/a": BIG, "/b": BIG + b"1", "/c": BIG + b"12"})
    duplicates(shelf.tree, shelf.files)
    assert shelf.opened == []


def test_files_that_differ_at_their_beginning_are_not_read_on() -> None:
    shelf = Shelf({"/a": b"1" + BIG, "/b": b"2" + BIG})
    duplicates(shelf.tree, shelf.files)
    assert sorted(shelf.opened) == ["/a", "/b"]


def test_more_than_the_limit_is_not_read_and_is_told() -> None:
    shelf = Shelf({"/a": BIG, "/b": BIG, "/c": BIG[:HEAD_BYTES], "/d": BIG[:HEAD_BYTES]})
    found = duplicates(shelf.tree, shelf.files, limit=2 * HEAD_BYTES)
    assert [group.paths for group in found.groups] == [("/c", "/d")]
    assert found.unread == 2
