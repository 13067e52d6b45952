"""Image layers over each other, and entries that no archive should have."""

import pytest

from audit.errors import TooLargeError
from audit.readers import builder as module
from audit.readers.builder import TreeBuilder
from audit.tree import Anomaly, Entry

FILE = Entry(kind="file", mode=0o644)
FOLDER = Entry(kind="dir", mode=0o700)
LINK = Entry(kind="symlink", mode=0o777, target="b")


@pytest.mark.parametrize(
    ("layers", "paths"),
    [
        ([[("a/b", FILE)], [("a/c", FILE)]], {"/a", "/a/b", "/a/c"}),
        ([[("a/b", FILE), ("a/c", FILE)], [("a/.wh.b", FILE)]], {"/a", "/a/c"}),
        ([[("a/b/c", FILE)], [(".wh.a", FILE)]], set()),
        ([[("a/b", FILE)], [("a/.wh..wh..opq", FILE), ("a/c", FILE)]], {"/a", "/a/c"}),
        ([[("a/b", FILE)], [("a/c", FILE), ("a/.wh..wh..opq", FILE)]], {"/a", "/a/c"}),
        ([[("a", FILE)], [("a", FILE), (".wh.a", FILE)]], {"/a"}),
        ([[("a/b", FILE)], [("a", LINK)]], {"/a"}),
        ([[("a", LINK)], [("a/b", FILE)]], {"/a", "/a/b"}),
        ([[("a/b", FILE)], [("a", FOLDER)]], {"/a", "/a/b"}),
        ([[("a", FILE)], [(".wh.none", FILE)]], {"/a"}),
        ([[("a", FILE)], [(".wh..", FILE), (".wh.", FILE)]], {"/a"}),
    ],
)
def test_a_layer_hides_what_its_whiteouts_name_and_adds_its_own(
    layers: list[list[tuple[str, Entry]]], paths: set[str]
) -> None:
    builder = TreeBuilder("x")
    for layer in layers:
        builder.lay_over(layer)
    assert builder.build("image").entries.keys() - {"/"} == paths


def test_every_parent_is_a_folder_of_the_tree() -> None:
    builder = TreeBuilder("x")
    builder.add_all([("a/b/c", FILE), ("a/b", FILE), ("a/b/d", FILE)])
    tree = builder.build("zip")
    assert {path: entry.kind for path, entry in tree.entries.items()} == {
        "/": "dir",
        "/a": "dir",
        "/a/b": "dir",
        "/a/b/d": "file",
    }
    assert tree.names == {"/": ("a",), "/a": ("b",), "/a/b": ("d",)}


def test_unsafe_and_duplicate_names_are_remembered() -> None:
    builder = TreeBuilder("x")
    builder.add_all(
        [("../a", FILE), ("/b", FILE), ("", FILE), ("c", FILE), ("c", LINK), ("d/", FOLDER), ("d/", FOLDER)]
    )
    tree = builder.build("zip")
    assert tree.entries["/c"] is LINK
    assert tree.anomalies == (
        Anomaly(kind="unsafe-name", name="../a"),
        Anomaly(kind="unsafe-name", name="/b"),
        Anomaly(kind="unsafe-name", name=""),
        Anomaly(kind="duplicate-name", name="c"),
    )


def test_a_million_unsafe_names_are_a_thousand_anomalies() -> None:
    builder = TreeBuilder("x")
    for _ in range(5000):
        builder.add("..", FILE)
    assert len(builder.anomalies) == module.MAX_ANOMALIES


def test_implied_folders_count_as_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ENTRIES", 50)
    with pytest.raises(TooLargeError, match="more than 50 files"):
        TreeBuilder("x").add("a/" * 60 + "b", FILE)


def test_a_path_of_thousands_of_folders_is_no_recursion() -> None:
    builder = TreeBuilder("x")
    builder.put("/a" * 2000, FILE)
    assert len(builder.entries) == 2001


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("MAX_ENTRIES", "more than 3 files:"),
        ("MAX_STORED", "in its layers"),
        ("MAX_NAME_BYTES", "bytes of names"),
    ],
)
def test_more_than_any_real_target_holds_is_refused(
    limit: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, limit, 3)
    builder = TreeBuilder("x")
    with pytest.raises(TooLargeError, match=words):
        builder.lay_over((name, FILE) for name in ("a", "bb", "ccc", "d"))


def test_a_name_of_a_megabyte_is_shown_in_part() -> None:
    builder = TreeBuilder("x")
    builder.add("n" * (1 << 20), FILE)
    assert len(builder.anomalies[0].name) == module.MAX_SHOWN_NAME
