import os
import stat
import subprocess
import tomllib
from pathlib import Path

import pytest

from images.native import assemble
from images.native.assemble import (
    CERTIFICATES,
    drop,
    keep_package_records,
    level,
    strip_debug,
    write_accounts,
    write_certificates,
)

RECIPE = Path(assemble.__file__).with_name("rootfs.toml")


def _put(folder: Path, *names: str, content: str = "x") -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


DROPS = {
    "a-file": (["/a/b.so"], ["a/bc.so", "lib/t/x", "lib/t/y", "outside"]),
    "by-pattern": (["/a/b*"], ["lib/t/x", "lib/t/y", "outside"]),
    "a-folder-with-all-below": (["/lib/t"], ["a/b.so", "a/bc.so", "outside"]),
    "what-is-not-there": (
        ["/lib/nothing", "/no/such/*"],
        ["a/b.so", "a/bc.so", "lib/t/x", "lib/t/y", "outside"],
    ),
    "a-link-and-not-what-it-leads-to": (["/link"], ["a/b.so", "a/bc.so", "lib/t/x", "lib/t/y", "outside"]),
    "nothing": ([], ["a/b.so", "a/bc.so", "lib/t/x", "lib/t/y", "outside"]),
}


@pytest.mark.parametrize(("patterns", "left"), DROPS.values(), ids=DROPS)
def test_what_is_dropped_is_gone_and_nothing_else(
    tmp_path: Path, patterns: list[str], left: list[str]
) -> None:
    target = _put(tmp_path / "target", "a/b.so", "a/bc.so", "lib/t/x", "lib/t/y", "outside")
    (target / "link").symlink_to("lib")
    drop(target, patterns)
    (target / "link").unlink(missing_ok=True)
    assert _names(target) == left


def test_the_real_recipe_is_complete() -> None:
    recipe = tomllib.loads(RECIPE.read_text())
    assert set(recipe) == {"packages", "entry_points", "keep", "drop", "bytecode"}
    for key in ("entry_points", "keep", "drop"):
        assert all(path.startswith("/") for path in recipe[key]), "assemble.py takes them from the root"
    assert all(len(set(words)) == len(words) for words in recipe.values())


STATUS = """\
Package: libc6
Status: install ok unpacked
Description: GNU C Library
 it goes on
 .
 and on

Package: unused
Status: install ok unpacked

Package: ca-certificates
Status: install ok unpacked
"""


def _installed(folder: Path) -> Path:
    records = folder / "var/lib/dpkg"
    lists = {
        "libc6": [
            "/usr",
            "/usr/lib",
            "/lib/libc.so.6",
            "/usr/lib/libold.so",
            "/usr/share/doc/libc6/copyright",
        ],
        "unused": ["/usr", "/usr/bin/unused"],
        "ca-certificates": [f"/{CERTIFICATES}/a.crt"],
    }
    for name, paths in lists.items():
        _put(records, f"info/{name}.list", content="".join(f"{path}\n" for path in paths))
    _put(records, "status", content=STATUS)
    return _put(folder, "usr/share/doc/libc6/copyright", "usr/share/doc/unused/copyright", content="LGPL\n")


def test_packages_with_a_file_in_the_image_keep_status_licence_and_the_list_of_what_is_left(
    tmp_path: Path,
) -> None:
    output = _put(tmp_path / "out", "usr/lib/libc.so.6")
    (output / "lib").symlink_to("usr/lib")
    (output / "usr/lib/libold.so").symlink_to("libc.so.6")
    keep_package_records(_installed(tmp_path / "target"), output)
    records = output / "var/lib/dpkg"
    assert sorted(path.name for path in (records / "info").iterdir()) == [
        "ca-certificates.list",
        "libc6.list",
    ]
    assert (records / "info/libc6.list").read_text().splitlines() == [
        "/lib/libc.so.6",
        "/usr/lib/libold.so",
        "/usr/share/doc/libc6/copyright",
    ]
    assert (records / "info/ca-certificates.list").read_text() == "/etc/ssl/certs/ca-certificates.crt\n"
    libc, _unused, certificates = STATUS.split("\n\n")
    assert (records / "status").read_text() == f"{libc}\n\n{certificates}"
    assert (output / "usr/share/doc/libc6/copyright").read_text() == "LGPL\n"
    assert not (output / "usr/share/doc/unused").exists()


def test_the_bundle_holds_every_certificate_once_in_the_order_of_their_names(tmp_path: Path) -> None:
    target, output = tmp_path / "target", tmp_path / "out"
    _put(target / CERTIFICATES, "B.crt", content="second\n\n")
    _put(target / CERTIFICATES, "A.crt", content="first")
    _put(target / CERTIFICATES, "readme.txt")
    write_certificates(target, output)
    assert (output / "etc/ssl/certs/ca-certificates.crt").read_text() == "first\nsecond\n"
    assert {path.name: str(path.readlink()) for path in (output / "usr/lib/ssl").iterdir()} == {
        "certs": "/etc/ssl/certs",
        "cert.pem": "/etc/ssl/certs/ca-certificates.crt",
    }


def test_there_are_names_for_both_users_and_a_folder_that_all_may_write_to(tmp_path: Path) -> None:
    write_accounts(_put(tmp_path, "etc/os-release"))
    users = [line.split(":") for line in (tmp_path / "etc/passwd").read_text().splitlines()]
    groups = [line.split(":") for line in (tmp_path / "etc/group").read_text().splitlines()]
    assert [(user[0], user[2], user[3]) for user in users] == [
        ("root", "0", "0"),
        ("nobody", "65534", "65534"),
    ]
    assert {user[3] for user in users} == {group[2] for group in groups}
    assert all(len(user) == 7 for user in users)
    assert stat.S_IMODE((tmp_path / "tmp").stat().st_mode) == 0o1777


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files to root takes root, as in the build stage")
def test_levelling_gives_one_owner_one_time_and_two_modes(tmp_path: Path) -> None:
    modes = {
        "bin/python3": (0o4711, 0o755),
        "lib/x.so": (0o664, 0o644),
        "lib/tool.py": (0o755, 0o644),
        "lib/package.py/inside": (0o600, 0o644),
    }
    for name, (before, _) in modes.items():
        _put(tmp_path, name)
        (tmp_path / name).chmod(before)
    os.chown(tmp_path / "lib/x.so", 1000, 1000)
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    (tmp_path / "dangling").symlink_to("/nonexistent")
    level(tmp_path, 1700000000)
    found = {path: path.lstat() for path in [tmp_path, *tmp_path.rglob("*")]}
    assert {(status.st_uid, status.st_gid, status.st_mtime) for status in found.values()} == {
        (0, 0, 1700000000)
    }
    assert {name: stat.S_IMODE(found[tmp_path / name].st_mode) for name in modes} == {
        name: after for name, (_, after) in modes.items()
    }
    folders = {path.name: stat.S_IMODE(s.st_mode) for path, s in found.items() if stat.S_ISDIR(s.st_mode)}
    assert folders.pop("tmp") == 0o1777
    assert set(folders.values()) == {0o755}


def test_stripping_keeps_what_it_would_make_larger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for strip(1) that halves one library and grows the other, as strip does after patchelf."""
    strip = _put(
        tmp_path,
        "strip",
        content='#!/bin/sh\ncase "$4" in *big*) head -c 50 "$4" >"$3" ;; *) cat "$4" "$4" >"$3" ;; esac\n',
    )
    (strip / "strip").chmod(0o755)
    monkeypatch.setenv("STRIP", str(tmp_path / "strip"))
    target = _put(tmp_path / "target/under48/action", "big.so", "PIL/small.so.1", "x.py", content="x" * 100)
    strip_debug(tmp_path / "target")
    assert {name: (target / name).stat().st_size for name in _names(target)} == {
        "big.so": 50,
        "PIL/small.so.1": 100,
        "x.py": 100,
    }


def test_a_strip_that_fails_ends_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIP", "false")
    _put(tmp_path / "under48/action", "x.so")
    with pytest.raises(subprocess.CalledProcessError):
        strip_debug(tmp_path)
