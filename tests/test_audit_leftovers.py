"""What packages and builds leave behind, told by where it lies."""

import io
import time
import zipfile

import pytest

from audit.leftovers import leftovers
from audit.owners import Package
from audit.readers.builder import TreeBuilder
from audit.readers.zips import read_zip
from audit.sizes import FileSize, sizes
from audit.tree import Entry, Tree, inside

SITE = "/usr/lib/python3/dist-packages"


def tree_of(*paths: str) -> Tree:
    builder = TreeBuilder("x")
    for path in paths:
        builder.put(path, Entry(kind="file", mode=0o644, size=10))
    return builder.build("image")


def kind_of(path: str, *others: str) -> str | None:
    tree = tree_of(path, *others)
    found = {one.path: one.kind for one in leftovers(tree, sizes(tree, tree.entries).files)}
    return found.get(path)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/cache/apt/pkgcache.bin", "cache"),
        ("/var/lib/apt/lists/deb_Packages", "cache"),
        ("/var/lib/dpkg/status-old", "cache"),
        ("/var/lib/dpkg/status", None),
        ("/var/log/dpkg.log", "cache"),
        ("/root/.cache/pip/http/a", "cache"),
        ("/home/me/.npm/_cacache/a", "cache"),
        ("/app/.pytest_cache/v/x", "cache"),
        ("/app/.git/objects/a", "cache"),
        ("/app/.gitignore", None),
        (f"{SITE}/scipy/special/tests/data/boost.npz", "test"),
        (f"{SITE}/scipy/special/test/a.py", "test"),
        (f"{SITE}/numpy/testing/utils.py", None),
        (f"{SITE}/tests/a.py", "test"),
        ("/usr/lib/python3.11/test/test_os.py", "test"),
        ("/usr/lib/python3.11/unittest/case.py", None),
        ("/usr/lib/python3.11/unittest/test/a.py", "test"),
        ("/app/tests/a.py", None),
        ("/app/node_modules/x/test/a.js", "test"),
        (f"{SITE}/numpy/core/include/numpy/a.h", "development"),
        (f"{SITE}/numpy/a.pyi", None),
        (f"{SITE}/scipy/a.pyx", "development"),
        (f"{SITE}/numpy/random/lib/libnpyrandom.a", "development"),
        ("/usr/include/stdio.h", "development"),
        ("/usr/lib/x86_64-linux-gnu/libc.a", "development"),
        ("/usr/lib/libx.la", "development"),
        ("/opt/model.a", None),
        ("/usr/lib/pkgconfig/x.pc", "development"),
        ("/app/node_modules/x/a.d.ts", "development"),
        ("/app/node_modules/x/a.ts", None),
        ("/usr/share/doc/x/changelog.gz", "documentation"),
        ("/usr/share/doc/x/copyright", None),
        ("/usr/share/man/man1/ls.1", "documentation"),
        ("/usr/share/locale/de/LC_MESSAGES/x.mo", "locale"),
        ("/usr/lib/locale/C.utf8/LC_CTYPE", None),
        ("/usr/lib/locale/locale-archive", "locale"),
    ],
)
def test_a_leftover_is_known_by_its_place(path: str, kind: str | None) -> None:
    assert kind_of(path) == kind


def test_byte_code_is_an_orphan_without_its_source_and_a_cache_at_a_price_with_it() -> None:
    compiled = "/app/__pycache__/a.cpython-311.pyc"
    assert kind_of(compiled) == "orphan"
    assert kind_of(compiled, "/app/a.py") == "bytecode"
    assert kind_of("/app/a.pyc") is None


def test_the_files_of_a_wheel_are_judged_as_if_installed_wherever_it_lies() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("numpy/tests/a.py", "other/tests/a.py", "numpy/b.h"):
            archive.writestr(name, b"1")
        archive.writestr("numpy-2.dist-info/RECORD", "numpy/tests/a.py,,\nnumpy/b.h,,\n")
    wheel = read_zip(file, "x")
    mounted = tree_of("/usr/bin/x").with_mounted(wheel, "/action")
    for tree, at in ((wheel, "/"), (mounted, "/action")):
        own = [inside(at, path) for path in wheel.entries]
        found = leftovers(tree, sizes(tree, own, at).files, at)
        assert [one.path for one in found] == [inside(at, "/numpy/b.h"), inside(at, "/numpy/tests/a.py")]


@pytest.mark.parametrize(
    "part",
    [
        "site-packages/",
        "tests/",
        "share/doc/",
        "node_modules/",
        "lib/a-linux-",
        "lib/python3/",
        "a",
        ".",
        "/",
    ],
)
def test_long_names_made_to_take_long_do_not(part: str) -> None:
    long = f"/{part * (4000 // len(part))}\n"
    paths = [f"{long}{number}" for number in range(300)]
    began = time.process_time()
    leftovers(
        tree_of(),
        [
            FileSize(path=path, package=Package(manager="folder", name="x"), size=1, compressed=None)
            for path in paths
        ],
    )
    assert time.process_time() - began < 5
