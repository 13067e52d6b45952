import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from images.native import unpack_packages
from images.native.unpack_packages import unpack
from tests.debian import needs_dpkg

CONTROL = (
    "Package: {name}\nVersion: 1.2\nArchitecture: all\nMaintainer: x\nDescription: one\n two\n .\n three\n"
)


def _deb(
    folder: Path, name: str, files: dict[str, str | None], hard_links: dict[str, str] | None = None
) -> Path:
    """A package with `files`: a text, or for a name with " -> " in it a symlink."""
    tree = folder / name
    for file, text in files.items():
        path, _, leads_to = file.partition(" -> ")
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        if leads_to:
            (tree / path).symlink_to(leads_to)
        else:
            (tree / path).write_text(text or "")
    for link, original in (hard_links or {}).items():
        (tree / link).hardlink_to(tree / original)
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text(CONTROL.format(name=name))
    deb = folder / f"{name}.deb"
    command = ["dpkg-deb", "--build", "--root-owner-group", str(tree), str(deb)]
    subprocess.run(command, check=True, capture_output=True)
    return deb


def _merged(folder: Path) -> Path:
    (folder / "usr/lib").mkdir(parents=True)
    (folder / "lib").symlink_to("usr/lib")
    return folder


@needs_dpkg
def test_files_go_below_merged_usr_and_both_packages_are_recorded(tmp_path: Path) -> None:
    target = _merged(tmp_path / "target")
    unpack(_deb(tmp_path, "one", {"lib/liba.so.1": "a", "lib/liba.so -> liba.so.1": None}), target)
    unpack(_deb(tmp_path, "two", {"usr/lib/libb.so": "b"}), target)
    assert (target / "lib").is_symlink()
    assert sorted(path.name for path in (target / "usr/lib").iterdir()) == ["liba.so", "liba.so.1", "libb.so"]
    status = (target / "var/lib/dpkg/status").read_text()
    stanzas = status.strip().split("\n\n")
    assert [stanza.splitlines()[:2] for stanza in stanzas] == [
        [f"Package: {name}", "Status: install ok unpacked"] for name in ("one", "two")
    ]
    assert stanzas[0].endswith("Description: one\n two\n .\n three")


@needs_dpkg
def test_the_list_of_files_names_them_as_they_are(tmp_path: Path) -> None:
    """ca-certificates has names beyond ASCII, and hard links are files like others."""
    deb = _deb(
        tmp_path,
        "odd",
        {"usr/Főtanúsítvány.crt": "x", "usr/two words": "y", "usr/link -> two words": None},
        hard_links={"usr/same": "usr/two words"},
    )
    unpack(deb, _merged(tmp_path / "target"))
    assert set((tmp_path / "target/var/lib/dpkg/info/odd.list").read_text().splitlines()) == {
        "/usr",
        "/usr/Főtanúsítvány.crt",
        "/usr/two words",
        "/usr/link",
        "/usr/same",
    }


@needs_dpkg
def test_a_damaged_package_ends_the_build(tmp_path: Path) -> None:
    deb = _deb(tmp_path, "one", {"usr/a": "a" * 5000})
    deb.write_bytes(deb.read_bytes()[:-40])
    with pytest.raises(subprocess.CalledProcessError):
        unpack(deb, _merged(tmp_path / "target"))


def _library(target: Path) -> Path:
    """This Python's own standard library in `target`, where the image has it; without what takes space."""
    library = Path(os.__file__).parent
    copy = target / library.relative_to("/")
    heavy = shutil.ignore_patterns(
        "__pycache__", "test", "tests", "idlelib", "*-packages", "lib-dynload", "config-*"
    )
    shutil.copytree(library, copy, ignore=heavy)
    return copy


def test_the_named_modules_and_what_they_import_get_byte_code_that_depends_on_no_time(tmp_path: Path) -> None:
    library = _library(tmp_path)
    script = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]); import unpack_packages\n"
        "unpack_packages.compile_library(pathlib.Path(sys.argv[2]), ['json', 'email.message'])\n"
    )
    folder = Path(unpack_packages.__file__).parent
    subprocess.run([sys.executable, "-c", script, str(folder), str(tmp_path)], check=True)
    compiled = [Path(importlib.util.source_from_cache(str(path))) for path in library.rglob("*.pyc")]
    names = {path.relative_to(library).as_posix() for path in compiled}
    assert {
        "json/__init__.py",
        "json/decoder.py",
        "email/message.py",
        "email/charset.py",
        "re/__init__.py",
    } <= names
    assert not names & {"wave.py", "email/mime/text.py"}, "and no others"
    first = Path(importlib.util.cache_from_source(str(library / "json/__init__.py"))).read_bytes()
    assert first[4:8] == b"\x01\0\0\0", "PEP 552: hash-based, unchecked"
    assert str(tmp_path).encode() not in first, "and names its source as the image has it"
    assert str(Path(json.__file__)).encode() in first
