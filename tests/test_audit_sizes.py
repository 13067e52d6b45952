"""Who the bytes of a tree belong to."""

import io
import random
import sys
import zipfile
from functools import partial
from pathlib import Path

import pytest

from audit.owners import Package
from audit.packed import packed_sizes
from audit.readers.builder import TreeBuilder
from audit.readers.zips import read_zip
from audit.sizes import FileSize, FolderSize, PackageSize, folder_sizes, sizes
from audit.tree import Entry, Tree

STATUS = """\
Package: libfoo1
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Version: 1:1.2-3
Description: a library
 Package: not this

Package: tool
Architecture: amd64
Version: 4

Package: ../../etc/evil
Version: 1

Package: ghost
Version: 0
"""


def tree_of(files: dict[str, bytes], links: dict[str, str] | None = None) -> Tree:
    builder = TreeBuilder("x")
    for path, content in files.items():
        entry = Entry(kind="file", mode=0o644, size=len(content), opener=partial(io.BytesIO, content))
        builder.put(path, entry)
    for path, target in (links or {}).items():
        builder.put(path, Entry(kind="symlink", mode=0o777, target=target))
    return builder.build("folder")


DEBIAN = tree_of(
    {
        "/var/lib/dpkg/status": STATUS.encode(),
        "/var/lib/dpkg/info/libfoo1:amd64.list": b"/.\n/lib\n/lib/libfoo.so.1\n/lib/gone\n",
        "/var/lib/dpkg/info/tool.list": b"/usr/bin/tool\n/usr/lib/tool/mod.py\n",
        "/usr/lib/libfoo.so.1": b"12345678",
        "/usr/bin/tool": b"1234",
        "/usr/lib/tool/mod.py": b"12",
        "/usr/lib/tool/__pycache__/mod.cpython-311.pyc": b"123",
        "/usr/lib/site/pillow-11.0.dist-info/RECORD": b'pillow/a.py,,\n"pillow/b,c.so",x,1\n../../bin/pil,,',
        "/usr/lib/site/pillow/a.py": b"1",
        "/usr/lib/site/pillow/b,c.so": b"123456",
        "/usr/bin/pil": b"1",
        "/opt/x/y": b"12",
        "/top": b"1",
    },
    {"/lib": "usr/lib"},
)


@pytest.mark.parametrize(
    ("path", "package"),
    [
        ("/usr/lib/libfoo.so.1", Package(manager="dpkg", name="libfoo1", version="1:1.2-3")),
        ("/usr/bin/tool", Package(manager="dpkg", name="tool", version="4")),
        ("/usr/lib/tool/__pycache__/mod.cpython-311.pyc", Package(manager="dpkg", name="tool", version="4")),
        ("/usr/lib/site/pillow/b,c.so", Package(manager="python", name="pillow", version="11.0")),
        ("/usr/bin/pil", Package(manager="python", name="pillow", version="11.0")),
        ("/opt/x/y", Package(manager="folder", name="opt/")),
        ("/usr/lib/site/pillow-11.0.dist-info/RECORD", Package(manager="folder", name="usr/lib/")),
        ("/top", Package(manager="folder", name="(top)")),
    ],
)
def test_a_file_belongs_to_the_package_that_lists_it_else_to_its_folder(path: str, package: Package) -> None:
    owners = {file.path: file.package for file in sizes(DEBIAN, DEBIAN.entries).files}
    assert owners[path] == package


def test_packages_are_summed_and_the_largest_comes_first() -> None:
    paths = [path for path in DEBIAN.entries if "dpkg" not in path and "RECORD" not in path]
    packages = sizes(DEBIAN, paths).packages
    assert [(one.package.name, one.files, one.size) for one in packages] == [
        ("tool", 3, 9),
        ("libfoo1", 1, 8),
        ("pillow", 3, 8),
        ("opt/", 1, 2),
        ("(top)", 1, 1),
    ]


def test_content_with_two_names_counts_once() -> None:
    builder = TreeBuilder("x")
    builder.put("/a", Entry(kind="file", mode=0o644, size=5))
    builder.put("/b", Entry(kind="file", mode=0o644, size=5, same_as="/a"))
    tree = builder.build("folder")
    assert sizes(tree, tree.entries).size == 5


def test_a_zip_has_both_sizes_and_groups_below_the_folder_it_lies_in() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("native/a.so", b"\0" * 1000)
        archive.writestr("__main__.py", b"")
    tree = DEBIAN.with_mounted(read_zip(file, "x.zip"), "/action/1")
    measured = sizes(tree, ["/action/1/native/a.so", "/action/1/__main__.py"], "/action/1")
    packed = measured.compressed
    assert packed is not None
    assert packed < 100
    native = Package(manager="folder", name="native/")
    assert measured.files[0] == FileSize(
        path="/action/1/native/a.so", package=native, size=1000, compressed=packed - 2
    )
    assert measured.packages[0] == PackageSize(package=native, files=1, size=1000, compressed=packed - 2)


@pytest.mark.parametrize(
    "record", [b"\xff\xfe,,\n", b'"' * 200_000, b"../../../../etc/passwd,,\n", b"\0,,\n"]
)
def test_a_strange_record_attributes_nothing(record: bytes) -> None:
    tree = tree_of({"/a-1.dist-info/RECORD": record, "/b": b"1"})
    assert {file.package.manager for file in sizes(tree, tree.entries).files} == {"folder"}


NODE = tree_of(
    {
        "/app/node_modules/left/package.json": b'{"version": "1.2.3"}',
        "/app/node_modules/left/index.js": b"1234",
        "/app/node_modules/left/node_modules/inner/package.json": b"not json",
        "/app/node_modules/left/node_modules/inner/a.js": b"12",
        "/app/node_modules/@scope/pad/package.json": b'{"version": 7}',
        "/app/node_modules/@scope/pad/lib/a.js": b"123",
        "/app/node_modules/.bin/tool": b"1",
        "/app/index.js": b"1",
    }
)


@pytest.mark.parametrize(
    ("path", "package"),
    [
        ("/left/index.js", Package(manager="npm", name="left", version="1.2.3")),
        ("/left/node_modules/inner/a.js", Package(manager="npm", name="inner")),
        ("/@scope/pad/lib/a.js", Package(manager="npm", name="@scope/pad")),
        ("/.bin/tool", Package(manager="folder", name="app/")),
    ],
)
def test_a_file_in_node_modules_belongs_to_the_innermost_package(path: str, package: Package) -> None:
    owners = {file.path: file.package for file in sizes(NODE, NODE.entries).files}
    assert owners[f"/app/node_modules{path}"] == package


def test_a_folder_counts_all_that_is_beneath_it() -> None:
    tree = tree_of({"/a/b/c": b"123", "/a/b/d/e": b"12", "/a/f": b"1", "/g": b"1234"})
    assert [(one.path, one.files, one.size) for one in folder_sizes(sizes(tree, tree.entries))] == [
        ("/", 4, 10),
        ("/a", 3, 6),
        ("/a/b", 2, 5),
        ("/a/b/d", 1, 2),
    ]


def test_folders_end_at_the_top_of_the_target() -> None:
    tree = DEBIAN.with_mounted(tree_of({"/x/y": b"12"}), "/action/1")
    measured = sizes(tree, ["/action/1/x/y"], "/action/1", {"/action/1/x/y": 1})
    assert folder_sizes(measured, "/action/1") == (
        FolderSize(path="/action/1", files=1, size=2, compressed=1),
        FolderSize(path="/action/1/x", files=1, size=2, compressed=1),
    )


def test_what_a_folder_would_take_in_a_zip_is_estimated_within_a_percent() -> None:
    files = {
        "/text": b"".join(b"%d " % number for number in range(600_000)),
        "/code": Path(sys.executable).resolve().read_bytes()[: 3 << 20],
        "/noise": random.Random(1).randbytes(300_000),
        "/empty": b"",
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(path[1:], content)
    real = {path: entry.compressed for path, entry in read_zip(file, "x").entries.items()}
    estimate = packed_sizes(tree_of(files), files)
    for path in files:
        assert estimate[path] == pytest.approx(real[path], rel=0.01, abs=2)


def test_what_cannot_be_read_counts_as_it_is() -> None:
    builder = TreeBuilder("x")
    builder.put("/a", Entry(kind="file", mode=0o644, size=5))
    builder.put("/b", Entry(kind="file", mode=0o644, size=5, same_as="/a"))
    tree = builder.build("folder")
    assert packed_sizes(tree, tree.entries) == {"/a": 5}
