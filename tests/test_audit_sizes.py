"""Who the bytes of a tree belong to."""

import io
import zipfile
from functools import partial

import pytest

from audit.readers.builder import TreeBuilder
from audit.readers.zips import read_zip
from audit.sizes import FileSize, Package, PackageSize, sizes
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
