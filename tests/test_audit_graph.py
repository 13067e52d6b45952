"""The rules of ld.so(8), a tree of real ELF files each; their make.py asked the real loader."""

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audit import graph
from audit.errors import TooLargeError
from audit.graph import Linker, link
from audit.loader import PLATFORMS, How
from audit.readers.folder import read_folder
from audit.tree import ImageConfig, Tree
from tests.fuzz.targets import tree_of as tree_with
from tests.hostile import library

FIXTURES = Path(__file__).parent / "fixtures" / "elf"
CASES: list[dict[str, Any]] = tomllib.loads((FIXTURES / "cases.toml").read_text())["case"]


def tree_of(case: dict[str, Any]) -> Tree:
    tree = read_folder(FIXTURES / "trees" / case["rule"])
    return replace(tree, config=ImageConfig(environment=case.get("environment", {})))


def case_of(rule: str) -> dict[str, Any]:
    return next(case for case in CASES if case["rule"] == rule)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["rule"])
def test_every_name_leads_where_the_real_loader_says_it_does_and_by_the_same_rule(
    case: dict[str, Any],
) -> None:
    tree = tree_of(case)
    root = tree.resolve(case.get("root", "/app/prog"))
    assert root is not None
    found = {
        edge.needed: [edge.opened, edge.how.value] if edge.path else []
        for edges in Linker(tree).load(root).edges.values()
        for edge in edges
        if not edge.needed.startswith("/lib64/ld-linux")
    }
    assert found == case["expected"]


def test_every_tree_on_disk_is_a_case() -> None:
    assert sorted(path.name for path in (FIXTURES / "trees").iterdir()) == sorted(c["rule"] for c in CASES)


def test_an_edge_tells_the_path_without_symlinks() -> None:
    tree = tree_of(case_of("symlinked-folder-is-followed"))
    (edge,) = (e for e in Linker(tree).load("/app/prog").edges["/app/prog"] if e.needed == "liba.so")
    assert (edge.opened, edge.path) == ("/current/lib/liba.so", "/versions/1/lib/liba.so.1.2")


def test_the_file_that_ends_a_search_is_named() -> None:
    tree = tree_of(case_of("no-elf-file-ends-the-search"))
    problems = [edge.problem for edge in Linker(tree).load("/app/prog").edges["/app/prog"]]
    assert "the loader stops at /text/liba.so: no ELF file" in problems


def test_a_missing_interpreter_is_an_unresolved_edge() -> None:
    tree = tree_of(case_of("runpath-before-default-path"))
    first = Linker(tree).load("/app/prog").edges["/app/prog"][0]
    assert (first.needed, first.path, first.how) == ("/lib64/ld-linux-x86-64.so.2", None, How.NOT_FOUND)


def test_a_library_that_a_program_loads_is_judged_in_that_program() -> None:
    tree = tree_of(case_of("rpath-inherited"))
    linked = link(Linker(tree), sorted(tree.entries))
    assert [load.root for load in linked.loads] == ["/app/prog"]
    assert [edge.path for edge in linked.edges["/priv/liba.so"]] == ["/priv/libb.so"]


def test_a_name_missing_in_any_process_is_shown() -> None:
    tree = tree_of(case_of("runpath-not-inherited"))
    linked = link(Linker(tree), sorted(tree.entries))
    assert [edge.path for edge in linked.edges["/priv/liba.so"]] == [None]


def test_libraries_that_need_each_other_are_loaded_once() -> None:
    tree = read_folder(FIXTURES / "trees" / "breadth-first-the-first-requester-decides")
    paths = ["/lib/liba.so", "/lib/libb.so", "/of-a/libx.so", "/of-b/libx.so"]
    linked = link(Linker(tree), paths)
    assert {load.root for load in linked.loads} == {"/lib/liba.so", "/lib/libb.so"}


def test_a_tree_that_asks_for_too_much_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "MAX_STEPS", 3)
    tree = replace(tree_of(case_of("rpath-inherited")), form="image")
    with pytest.raises(TooLargeError, match="more than 3 look-ups"):
        link(Linker(tree), sorted(tree.entries))


@pytest.mark.parametrize(
    "folders",
    [[b"a"] * 999, [b"/%d" % number for number in range(999)], [b"$PLATFORM"] * 999],
    ids=["the-same", "others", "dropped"],
)
def test_every_folder_of_a_path_list_counts_that_is_looked_into(
    folders: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph, "MAX_STEPS", 3000)
    machine = PLATFORMS["x86-64", 64]._replace(platform="")
    monkeypatch.setitem(PLATFORMS, ("x86-64", 64), machine)
    for needed, enough in ((2, True), (4, False)):
        linker = Linker(replace(tree_with({"/a.so": library(needed, b":".join(folders))}), form="image"))
        if enough:
            assert len(linker.load("/a.so").edges["/a.so"]) == needed
        else:
            with pytest.raises(TooLargeError, match="more than 3,000 look-ups"):
                linker.load("/a.so")


def test_of_a_path_list_no_more_is_looked_at_than_up_to_the_right_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(graph, "MAX_STEPS", 10)
    content = library(1, b"/one:" + b":".join(b"/%d" % number for number in range(100_000)))
    linker = Linker(tree_with({"/a.so": content, "/one/n0": library(0, b"")}))
    assert [edge.path for edge in linker.load("/a.so").edges["/a.so"]] == ["/one/n0"]


def test_no_more_is_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "MAX_KNOWN", 5)
    linker = Linker(
        tree_with({"/a.so": library(3, b"/1:/2:/3:/4:/5:/6:/7:/one"), "/one/n1": library(0, b"")})
    )
    assert [edge.path for edge in linker.load("/a.so").edges["/a.so"]] == [None, "/one/n1", None]
    assert len(linker._folders) == 5


def test_more_elf_files_than_any_real_target_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "MAX_ELF_FILES", 1)
    linker = Linker(replace(tree_of(case_of("rpath-inherited")), form="image"))
    first, second, *_ = (path for path in linker.tree.entries if path.endswith((".so", "prog")))
    linker.elf(first)
    with pytest.raises(TooLargeError, match="more than 1 ELF files"):
        linker.elf(second)
