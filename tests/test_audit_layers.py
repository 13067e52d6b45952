"""Layers of an image: what each holds, and what of it later ones hide."""

import gzip
import io
import json
import tarfile
from itertools import repeat

import pytest

import audit
from audit.errors import TooLargeError
from audit.printable import WIDTH
from audit.readers import layers as layers_module
from audit.readers.image import read_image
from audit.sizes import sizes
from audit.tree import Layer, Lost, Tree

Files = dict[str, bytes | str]
A_HUNDRED: Files = {"a": bytes(100)}


def tarred(files: Files) -> bytes:
    """A tar of files, and of hard links where the content is text."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.LNKTYPE, content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def image(*layers: Files, history: object = None) -> Tree:
    names = [f"{number}.tar" for number in range(len(layers))]
    files: Files = {name: gzip.compress(tarred(layer)) for name, layer in zip(names, layers, strict=True)}
    files["c"] = json.dumps({"config": {}, "history": history}).encode()
    files["manifest.json"] = json.dumps([{"Config": "c", "Layers": names}]).encode()
    return read_image(io.BytesIO(tarred(files)), "x")


def lost(path: str, size: int, by: int, *, deleted: bool) -> Lost:
    return Lost(path=path, size=size, by=by, deleted=deleted)


@pytest.mark.parametrize(
    ("layers", "hidden"),
    [
        ([{"a": b"1"}, {"b": b"1"}], [(), ()]),
        ([{"a": b"123"}, {"a": b"45"}], [(lost("/a", 3, 2, deleted=False),), ()]),
        (
            [{"a": b"1"}, {"a": b"22"}, {"a": b"333"}],
            [(lost("/a", 1, 2, deleted=False),), (lost("/a", 2, 3, deleted=False),), ()],
        ),
        ([{"a": b"1"}, {".wh.a": b""}], [(lost("/a", 1, 2, deleted=True),), ()]),
        ([{"d/a": b"1"}, {".wh.d": b""}], [(lost("/d/a", 1, 2, deleted=True),), ()]),
        (
            [{"d/a": b"1"}, {"d/.wh..wh..opq": b"", "d/b": b"2"}],
            [(lost("/d/a", 1, 2, deleted=True),), ()],
        ),
        ([{"d/a": b"1"}, {"d": b"2"}], [(lost("/d/a", 1, 2, deleted=True),), ()]),
        ([{"d": b"1"}, {"d/a": b"2"}], [(lost("/d", 1, 2, deleted=False),), ()]),
        ([{"a": b"1"}, {".wh.a": b""}, {"a": b"1"}], [(lost("/a", 1, 2, deleted=True),), (), ()]),
        ([{"a": b"12", "b": "a"}, {".wh.a": b""}], [(), ()]),
        ([{"a": b"12", "b": "a"}, {".wh.b": b""}], [(), ()]),
        ([{"a": b"12", "b": "a"}, {".wh.a": b"", ".wh.b": b""}], [(lost("/a", 2, 2, deleted=True),), ()]),
    ],
    ids=[
        "nothing in common",
        "overwritten",
        "stored three times",
        "deleted",
        "folder deleted",
        "opaque folder",
        "folder replaced by a file",
        "file replaced by a folder",
        "deleted and made again",
        "first name of a hard link deleted",
        "second name of a hard link deleted",
        "both names of a hard link deleted",
    ],
)
def test_what_a_later_layer_hides_is_lost_in_the_layer_that_holds_it(
    layers: list[Files], hidden: list[tuple[Lost, ...]]
) -> None:
    assert [layer.lost for layer in image(*layers).layers] == hidden


def test_a_file_stored_n_times_wastes_all_but_one() -> None:
    layers = image(*repeat(A_HUNDRED, 5)).layers
    assert sum(layer.size for layer in layers) == 500
    assert sum(one.size for layer in layers for one in layer.lost) == 400


def test_a_layer_counts_its_files_and_the_content_of_hard_links_once() -> None:
    (layer,) = image({"a": b"123", "b": "a", "d/c": b"1"}).layers
    assert layer == Layer(name="0.tar", files=3, size=4)


def test_a_hard_link_whose_first_name_is_gone_keeps_its_bytes() -> None:
    tree = image({"a": b"123", "b": "a", "c": "a"}, {".wh.a": b""})
    assert tree.read("/c", 9) == b"123"
    assert sizes(tree, tree.entries).size == 3


def test_a_hard_link_whose_first_name_has_new_content_keeps_its_bytes() -> None:
    tree = image({"a": b"123", "b": "a"}, {"a": b"4"})
    assert sizes(tree, tree.entries).size == 4
    assert [layer.lost for layer in tree.layers] == [(), ()]


@pytest.mark.parametrize(
    ("history", "commands"),
    [
        (
            [{"created_by": "ADD"}, {"created_by": "ENV", "empty_layer": True}, {"created_by": "RUN"}],
            ["ADD", "RUN"],
        ),
        ([{"created_by": "ADD"}], ["", ""]),
        (None, ["", ""]),
        ([1, {}, {"created_by": 7}], ["", "7"]),
        ({"created_by": "ADD"}, ["", ""]),
    ],
)
def test_a_layer_has_the_build_step_that_made_it_where_the_history_fits(
    history: object, commands: list[str]
) -> None:
    assert [layer.command for layer in image({"a": b""}, {"b": b""}, history=history).layers] == commands


def test_layers_that_hide_more_than_any_image_does_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers_module, "MAX_HIDDEN", 3)
    with pytest.raises(TooLargeError, match="hides more than 3 files"):
        image(*repeat(A_HUNDRED, 5))


def test_a_layer_knows_its_files_that_no_later_one_hides() -> None:
    layers = image({"a": b"1", "b": b"2", "d/e": b"3"}, {"a": b"4", ".wh.d": b""}, {"f": b"5"}).layers
    assert [sorted(layer.paths) for layer in layers] == [["/b"], ["/a"], ["/f"]]


def test_the_tables_show_each_layer_with_what_made_it_where_there_are_more_than_one() -> None:
    history = [{"created_by": f"/bin/sh -c #(nop) COPY {'x' * 200} in"}, {"created_by": "/bin/sh -c rm a"}]
    two = audit.analyse(image({"a": bytes(1000), "b": b"2"}, {".wh.a": b""}, history=history))
    lines = audit.as_tables(two, ()).splitlines()
    at = lines.index("Layers")
    assert max(map(len, lines)) <= WIDTH
    assert [line.split()[0] for line in lines[at + 3 : at + 5]] == ["1", "2"]
    assert lines[at + 3].split()[1] == "COPY"
    assert lines[at + 3].split()[-3:] == ["2", "1,001", "1,000"]
    assert lines[at + 4].split()[1:] == ["rm", "a", "0", "0", "0"]
    assert "Layers" not in audit.as_tables(audit.analyse(image({"a": b"1"})), ())


def test_of_many_layers_the_tables_show_the_largest_in_their_order() -> None:
    layers: list[Files] = [{f"f{number}": bytes(number)} for number in range(14)]
    lines = audit.as_tables(audit.analyse(image(*layers)), ()).splitlines()
    at = lines.index("Layers, the 10 largest of 14")
    assert [int(line.split()[0]) for line in lines[at + 3 : at + 13]] == list(range(5, 15))
