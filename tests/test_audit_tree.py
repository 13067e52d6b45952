"""Paths of a tree: symlinks as the kernel follows them, globs, and one tree laid over another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import tree as module
from audit.errors import TooLargeError
from audit.readers.builder import TreeBuilder
from audit.tree import Entry, Tree, normalise, parents


def tree_of(*files: str, **links: str) -> Tree:
    """A tree of empty files and, with `__` for `/`, of symlinks."""
    builder = TreeBuilder("a test's tree")
    for path in files:
        builder.put(path, Entry(kind="file", mode=0o644, size=len(path)))
    for name, target in links.items():
        builder.put("/" + name.replace("__", "/"), Entry(kind="symlink", mode=0o777, target=target))
    return builder.build("folder")


MERGED = tree_of(
    "/usr/lib/libc.so.6",
    "/usr/bin/python3.11",
    lib="usr/lib",
    usr__bin__python3="python3.11",
    usr__bin__python="/usr/bin/python3",
    up="../../../../usr",
    loop="loop/again",
    tick="tock",
    tock="tick",
    into__file="/usr/lib/libc.so.6/x",
)


@pytest.mark.parametrize(
    ("path", "real", "links"),
    [
        ("/", "/", ()),
        ("/usr//lib/./libc.so.6", "/usr/lib/libc.so.6", ()),
        ("/lib/libc.so.6", "/usr/lib/libc.so.6", ("/lib",)),
        ("/usr/bin/python", "/usr/bin/python3.11", ("/usr/bin/python", "/usr/bin/python3")),
        ("/up/lib/libc.so.6", "/usr/lib/libc.so.6", ("/up",)),
        ("/../../usr/lib", "/usr/lib", ()),
        ("/lib/..", "/usr", ("/lib",)),
        ("/usr/none/../lib", None, ()),
        ("/usr/lib/libc.so.6/x", None, ()),
        ("/into/file", None, ("/into/file",)),
    ],
)
def test_a_path_is_followed_as_the_kernel_follows_it(
    path: str, real: str | None, links: tuple[str, ...]
) -> None:
    walk = MERGED.walk(path)
    assert (walk.real, walk.links) == (real, links)


@pytest.mark.parametrize("path", ["/loop", "/tick", "/tock/x"])
def test_a_loop_of_symlinks_leads_nowhere(path: str) -> None:
    assert MERGED.resolve(path) is None


def test_40_symlinks_are_followed_and_41_are_not() -> None:
    chain = {f"l{n}": f"l{n + 1}" for n in range(41)}
    tree = tree_of("/l41", **chain)
    assert tree.resolve("/l1") == "/l41"
    assert tree.resolve("/l0") is None


@given(st.text(alphabet="ab./", max_size=30))
def test_no_path_leaves_the_tree(path: str) -> None:
    real = MERGED.resolve("/" + path)
    assert real is None or real in MERGED.entries


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a/b", "/a/b"),
        ("./a//b/.", "/a/b"),
        ("a/", "/a"),
        (".", "/"),
        ("a..b/...", "/a..b/..."),
        ("../a", None),
        ("a/../b", None),
        ("/a", None),
        ("a\0b", None),
        ("a" * 4096, None),
    ],
)
def test_a_name_becomes_a_path_or_is_refused(name: str, path: str | None) -> None:
    assert normalise(name) == path


GLOBBED = tree_of(
    "/usr/lib/a.so", "/usr/lib/b.so.1", "/usr/lib/py/c.so", "/usr/lib/py/sub/d.so", lib="usr/lib"
)


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("/usr/lib/*.so", ["/usr/lib/a.so"]),
        ("/lib/*.so*", ["/lib/a.so", "/lib/b.so.1"]),
        ("/usr/lib/**/*.so", ["/usr/lib/a.so", "/usr/lib/py/c.so", "/usr/lib/py/sub/d.so"]),
        ("/usr/lib/py/**", ["/usr/lib/py/c.so", "/usr/lib/py/sub", "/usr/lib/py/sub/d.so"]),
        ("/usr/lib/[!b]*.so*", ["/usr/lib/a.so"]),
        ("/usr/lib/?.so", ["/usr/lib/a.so"]),
        ("/usr/lib/py", ["/usr/lib/py"]),
        ("/lib", ["/lib"]),
        ("/*", ["/lib", "/usr"]),
        ("/none/*", []),
        ("/usr/lib/none", []),
    ],
)
def test_a_glob_stays_within_a_name_unless_it_has_two_stars(pattern: str, paths: list[str]) -> None:
    assert sorted(GLOBBED.glob(pattern)) == paths


def test_a_tree_laid_over_a_folder_hides_what_was_there_and_keeps_the_rest() -> None:
    over = tree_of("/usr/lib/b.so.1", "/new")
    mounted = GLOBBED.with_mounted(over, "/lib/py")
    assert mounted.resolve("/usr/lib/py/new") == "/usr/lib/py/new"
    assert mounted.resolve("/usr/lib/py/usr/lib/b.so.1") is not None
    assert mounted.resolve("/usr/lib/py/c.so") is not None
    assert mounted.entries["/usr/lib/b.so.1"] == GLOBBED.entries["/usr/lib/b.so.1"]
    assert "/lib/py" not in mounted.entries


def test_a_tree_is_laid_at_a_folder_that_is_not_there_yet() -> None:
    mounted = GLOBBED.with_mounted(tree_of("/x"), "/lib/new/deep")
    assert mounted.resolve("/lib/new/deep/x") == "/usr/lib/new/deep/x"
    assert set(parents("/usr/lib/new/deep/x")) <= mounted.entries.keys()


def test_symlinks_that_lead_through_too_many_folders_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FOLLOWED", 100)
    builder = TreeBuilder("x")
    builder.put("/a", Entry(kind="symlink", mode=0o777, target="./" * 60))
    tree = builder.build("zip")
    assert tree.resolve("/a") == "/"
    with pytest.raises(TooLargeError, match="more than 100 folders"):
        tree.resolve("/a")
