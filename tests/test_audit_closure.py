"""The closure: what must be kept for the entry points to load, and the command that copies it."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from audit.closure import closure, main
from audit.errors import UnresolvedError
from audit.graph import Linker
from audit.readers.folder import read_folder
from images.imports import imported_files

REPO = Path(__file__).parent.parent
TREES = Path(__file__).parent / "fixtures" / "elf" / "trees"
INTERP = "/lib64/ld-linux-x86-64.so.2"
CASES = tomllib.loads((TREES.parent / "cases.toml").read_text())["case"]
# Those whose names are all found, and found without LD_LIBRARY_PATH, which a folder has not.
WHOLE = [
    case for case in CASES if "environment" not in case and all(found for found in case["expected"].values())
]


def root_of(rule: str, tmp_path: Path) -> Path:
    """Copy a tree, with a loader where its programs name one, and a script that starts them."""
    root = tmp_path / "root"
    shutil.copytree(TREES / rule, root, symlinks=True)
    loader = TREES / "interpreter-meets-a-needed-of-its-soname" / INTERP[1:]
    (root / INTERP[1:]).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(loader, root / INTERP[1:])
    return root


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case["rule"])
def test_a_copy_of_the_closure_resolves_every_name_alike(case: dict[str, str], tmp_path: Path) -> None:
    root = root_of(case["rule"], tmp_path)
    (root / "unneeded").write_text("x")
    start = case.get("root", "/app/prog")
    assert main([str(root), "--entry", start, "--to", str(tmp_path / "copy")]) == 0
    whole, copy = read_folder(root), read_folder(tmp_path / "copy")
    real = whole.resolve(start)
    assert real is not None
    assert Linker(copy).load(real).edges == Linker(whole).load(real).edges
    assert copy.entries.keys() < whole.entries.keys()
    assert "/unneeded" not in copy.entries


def test_symlinks_and_folders_on_the_way_are_kept_and_nothing_else(tmp_path: Path) -> None:
    tree = read_folder(root_of("symlinked-folder-is-followed", tmp_path))
    assert closure(tree, ["/app/prog"]) == {
        "/",
        "/app",
        "/app/prog",
        "/current",
        "/lib64",
        INTERP,
        "/versions",
        "/versions/1",
        "/versions/1/lib",
        "/versions/1/lib/liba.so",
        "/versions/1/lib/liba.so.1.2",
    }


def test_what_the_cache_found_brings_the_cache(tmp_path: Path) -> None:
    tree = read_folder(root_of("ld-so-conf-with-include", tmp_path))
    assert "/etc/ld.so.cache" in closure(tree, ["/app/prog"])


def test_a_script_brings_its_interpreter(tmp_path: Path) -> None:
    root = root_of("runpath-before-default-path", tmp_path)
    (root / "bin").mkdir()
    (root / "bin" / "env").write_text("#!/app/prog -x\n")
    (root / "bin" / "tool").symlink_to("../app/prog")
    (root / "run").write_text("#! /bin/env -S X=1 tool --flag\nrest")
    kept = closure(read_folder(root), ["/run"])
    assert {"/run", "/bin/env", "/bin/tool", "/app/prog", "/runpath/liba.so"} <= kept


def test_everything_that_is_missing_is_listed(tmp_path: Path) -> None:
    root = root_of("runpath-not-inherited", tmp_path)
    (root / "broken.so").write_bytes((root / "app/prog").read_bytes()[:300])
    (root / "run").write_text("#!/usr/bin/env tool\n")
    with pytest.raises(UnresolvedError) as caught:
        closure(read_folder(root), ["/app/prog", "/none", "/broken.so", "/run"])
    text = str(caught.value)
    assert "libb.so (needed by /priv/liba.so)" in text
    assert "/none (no such file)" in text
    assert "/broken.so (cut short" in text
    assert "/usr/bin/env (no such file)" in text
    assert text.startswith("5 missing in ")


def test_the_command_works_with_pyelftools_and_the_standard_library_alone(tmp_path: Path) -> None:
    import elftools  # noqa: PLC0415

    alone = tmp_path / "alone"
    for file in imported_files(REPO, "audit.closure"):  # as a build stage gets it
        place = alone / file.relative_to(REPO)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)
    shutil.copytree(Path(elftools.__file__).parent, alone / "elftools")
    root = root_of("rpath-inherited", tmp_path)
    (root / "data" / "deep").mkdir(parents=True)
    for name in ("data/keep", "data/deep/keep", "data.txt"):
        (root / name).write_text(name)
    (root / "data/keep").chmod(0o640)
    (root / "data/link").symlink_to("/data/keep")
    command = [sys.executable, "-S", "-m", "audit.closure", str(root), "--entry", "/app/*", "--keep", "/data"]
    done = subprocess.run(
        [*command, "--to", str(tmp_path / "copy")],
        cwd=alone,
        env={"SOURCE_DATE_EPOCH": "1700000000", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("closure: 4 files needed, 6 with those kept, 1 symlinks, ")
    copy = tmp_path / "copy"
    assert sorted(p.relative_to(copy).as_posix() for p in (copy / "data").rglob("*")) == [
        "data/deep",
        "data/deep/keep",
        "data/keep",
        "data/link",
    ]
    assert (copy / "data/keep").stat().st_mode & 0o7777 == 0o640
    assert (copy / "data/link").readlink() == Path("/data/keep")
    assert {path.lstat().st_mtime for path in [copy, *copy.rglob("*")]} == {1700000000}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--entry", "/app/none*", "--to", "copy"], "--entry /app/none*: nothing in"),
        (["--entry", "/app/prog", "--keep", "/x", "--to", "copy"], "--keep /x: nothing in"),
        (["--entry", "/app/prog", "--to", "."], "is not empty"),
        (["--entry", "/app/prog", "--to", "root/app/prog"], "cannot write"),
    ],
)
def test_a_mistake_ends_the_command_with_2_and_one_message(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    root = root_of("rpath-inherited", tmp_path)
    assert main([str(root), *options]) == 2
    assert words in capsys.readouterr().err


def test_a_wrong_source_date_epoch_is_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    root = root_of("rpath-inherited", tmp_path)
    assert main([str(root), "--entry", "/app/prog", "--to", str(tmp_path / "copy")]) == 2
    assert "SOURCE_DATE_EPOCH" in capsys.readouterr().err


def test_hard_links_are_copied_as_hard_links(tmp_path: Path) -> None:
    root = root_of("rpath-inherited", tmp_path)
    (root / "app/again").hardlink_to(root / "app/prog")
    assert main([str(root), "--entry", "/app/*", "--to", str(tmp_path / "copy")]) == 0
    assert (tmp_path / "copy/app/again").samefile(tmp_path / "copy/app/prog")
