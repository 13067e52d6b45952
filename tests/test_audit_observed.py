"""What a running container had mapped: how it is read, and what it says of a target."""

import contextlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import audit
from audit.errors import AuditError
from audit.observed import MAX_BYTES, MAX_PATHS, SCHEMA, Observation, mapped_files, read_observation
from audit.readers.folder import read_folder
from audit.rules import Finding, Severity
from audit.rules.observed import RULES
from tests.audited import PLUGIN, content, zipped
from tests.test_audit_linkage import with_interpreter

TREES = Path(__file__).parent / "fixtures" / "elf" / "linkage" / "trees"

MAPS = """\
00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/dbus-daemon
00651000-00652000 r--p 00051000 08:02 173521      /usr/bin/dbus-daemon
00e03000-00e24000 rw-p 00000000 00:00 0           [heap]
35b1800000-35b1820000 r-xp 00000000 08:02 135522  /usr/lib64/ld-2.15.so
7f5b1a000000-7f5b1bc00000 r--p 00000000 08:02 77  /usr/lib/libicudata.so.72.1
7f5b1c000000-7f5b1c021000 r--s 00000000 08:02 78  /usr/lib/locale/locale-archive
7f5b1d000000-7f5b1d021000 r--s 00000000 08:02 79  /model.tflite
7f5b1e000000-7f5b1e021000 r-xp 00000000 08:02 80  /opt/with space/lib\\012new.so (deleted)
7f5b1f000000-7f5b1f021000 rwxs 00000000 00:01 81  /memfd:jit (deleted)
7f5b1f100000-7f5b1f121000 rwxs 00000000 00:05 82  /dev/zero (deleted)
7f5b1f200000-7f5b1f221000 rwxs 00000000 00:01 83  /SYSV00000000 (deleted)
7fff5b1f3000-7fff5b1f5000 r-xp 00000000 00:00 0   [vdso]
"""
CODE = {
    "/usr/bin/dbus-daemon",
    "/usr/lib64/ld-2.15.so",
    "/usr/lib/libicudata.so.72.1",
    "/opt/with space/lib\nnew.so",
}


def test_of_a_process_the_files_with_code_and_the_libraries_are_taken() -> None:
    assert mapped_files(MAPS) == CODE


def test_this_very_process_has_its_c_library_mapped() -> None:
    found = read_observation(Path("/proc/self/maps").read_bytes(), "maps").paths
    assert any("libc" in path for path in found)
    assert all(Path(path).is_absolute() for path in found)


def test_what_verify_writes_is_read_again() -> None:
    document = audit.observation_as_json(["/b", "/a", "/b"], image="sha256:1", photos=["x.jpg"])
    assert document["schema"] == SCHEMA
    assert read_observation(json.dumps(document).encode(), "o.json") == Observation(
        name="o.json", image="sha256:1", photos=("x.jpg",), paths=("/a", "/b")
    )


def saved(**changes: object) -> bytes:
    document = audit.observation_as_json(["/a"], image="sha256:1", photos=[])
    return json.dumps({**document, **changes}).encode()


REFUSED = {
    "nothing": (b"", "names no mapped library"),
    "something else": (b"\x7fELF" + bytes(100), "names no mapped library"),
    "no json": (b"{", "is no JSON"),
    "json without end": (b"[" * 100_000, "is no JSON"),
    "another json": (b"[]", "has the schema"),
    "another schema": (saved(schema="under48-observed/99"), "under48-observed/1 is read"),
    "no list": (saved(mapped="/a"), "is damaged"),
    "nothing mapped": (saved(mapped=[]), "is damaged"),
    "no texts": (saved(mapped=[1]), "is damaged"),
    "no image": (saved(image=None), "is damaged"),
    "no photos": (saved(photos=None), "is damaged"),
    "a relative path": (saved(mapped=["a"]), "not absolute"),
    "too many": (saved(mapped=[f"/{n}" for n in range(MAX_PATHS + 1)]), "more than 100,000 files"),
    "too large": (bytes(MAX_BYTES + 1), "larger than 16 MiB"),
}


@pytest.mark.parametrize(("content", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_observation_is_refused_in_words(content: bytes, words: str) -> None:
    with pytest.raises(AuditError, match=words) as caught:
        read_observation(content, "o.json")
    assert "o.json" in str(caught.value)


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
def test_whatever_is_in_the_file_is_read_or_refused(content: bytes) -> None:
    for start in (b"", b"00400000-00452000 r-xp 00000000 08:02 1 /a", b"{", saved()[:-1]):
        with contextlib.suppress(AuditError):
            assert read_observation(start + content, "o.json").paths


def findings(tree: audit.Tree, *paths: str, photos: Iterable[str] = ()) -> dict[str, Finding]:
    seen = Observation(name="o", paths=tuple(sorted(paths)), photos=tuple(photos))
    return {one.rule: one for one in audit.check(audit.analyse(tree, observation=seen), RULES)}


PROGRAM = "reached-named-and-forgotten"
LOADED = ("/app/prog", "/lib64/ld-linux-x86-64.so.2")


def test_without_an_observation_nothing_is_said_of_it() -> None:
    assert audit.check(audit.analyse(with_interpreter(PROGRAM)), RULES) == ()


def test_what_no_run_mapped_is_a_note_with_its_bytes() -> None:
    tree = with_interpreter(PROGRAM)
    found = findings(tree, *LOADED, photos=["panda.jpg"])
    finding = found["never-mapped"]
    assert (finding.severity, finding.subject) == (Severity.NOTE, tree.name)
    names = [path for path in tree.entries if path.startswith("/app/lib")]
    size = sum(tree.entries[path].size for path in names)
    assert finding.message.startswith(
        f"never mapped while panda.jpg was classified: {len(names)} libraries of {size:,} bytes (mapped: "
    )
    assert "mapped-later" not in found


def test_what_was_opened_by_name_is_told_with_the_file_that_names_it() -> None:
    found = findings(with_interpreter(PROGRAM), *LOADED, "/app/libplugin.so", "/app/libnoted.so.1")
    message = found["mapped-later"].message
    assert "; 2 by dlopen: " in message
    assert "/app/libplugin.so" in message
    assert "named in /app/prog" in message
    assert "mapped-unforeseen" not in found


def test_what_nothing_leads_to_and_is_mapped_all_the_same_is_a_warning_and_no_longer_unreachable() -> None:
    tree = with_interpreter(PROGRAM)
    seen = Observation(name="o", paths=(*LOADED, "/app/libforgotten.so"))
    analysis = audit.analyse(tree, observation=seen)
    found = {one.rule: one for one in audit.check(analysis)}
    assert found["mapped-unforeseen"].subject == tree.name
    assert found["mapped-unforeseen"].message == (
        "1 library was mapped, and nothing mapped beside it needs it, nor does a program, Python or configuration "
        "file name it: /app/libforgotten.so"
    )
    assert found["mapped-unforeseen"].severity == Severity.WARNING
    assert "unreachable-library" not in found
    assert "unreachable-library" in {one.rule for one in audit.check(audit.analyse(tree))}


OTHERS = TREES.parents[1] / "trees"
PLUG = OTHERS / "plugin-in-a-context-of-its-own" / "app"
FORGOTTEN = (TREES / PROGRAM / "app" / "libforgotten.so").read_bytes()


def grown(top: Path, files: Mapping[str, bytes]) -> audit.Tree:
    """Give an image of the program and these files."""
    started = {f"app/{name}": (TREES / PROGRAM / "app" / name).read_bytes() for name in ("prog", "liba.so")}
    for path, data in {**started, **files}.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_bytes(data)
    return replace(audit.read(top), form="image", name="the image")


# The plugin needs these, by its RUNPATH or because they are in the process already.
FOLLOWED = {
    "found from its place": "libs",
    "found by name in the process": "far",
}


@pytest.mark.parametrize("folder", FOLLOWED.values(), ids=FOLLOWED)
def test_of_what_is_unforeseen_only_what_nothing_unforeseen_needs_is_told(
    folder: str, tmp_path: Path
) -> None:
    files = {"app/plugin.so": (PLUG / "plugin.so").read_bytes(), f"app/{folder}/libb.so": FORGOTTEN}
    files[f"app/{folder}/liba.so"] = (PLUG / "libs/liba.so").read_bytes()
    mapped = ("/app/prog", "/app/liba.so", *(f"/{path}" for path in files))
    finding = findings(grown(tmp_path, files), *mapped)["mapped-unforeseen"]
    assert finding.message.startswith("1 library was mapped")
    assert finding.message.endswith(": /app/plugin.so and 2 that it needs")


def test_what_an_unforeseen_library_names_goes_with_it_and_of_a_circle_one_is_told(tmp_path: Path) -> None:
    first, second = (FORGOTTEN + f"\0{name}.so\0".encode() for name in ("second", "first"))
    tree = grown(tmp_path, {"x/first.so": first, "x/second.so": second})
    finding = findings(tree, "/app/prog", "/x/first.so", "/x/second.so")["mapped-unforeseen"]
    assert finding.message.endswith(": /x/first.so and 1 that it needs")


def test_what_a_circle_needs_goes_with_the_circle_though_its_path_comes_first(tmp_path: Path) -> None:
    names = {"x/b.so": b"c.so", "x/c.so": b"b.so a.so", "x/a.so": b"no.so"}
    tree = grown(tmp_path, {path: FORGOTTEN + b"\0" + name for path, name in names.items()})
    finding = findings(tree, "/app/prog", *(f"/{path}" for path in names))["mapped-unforeseen"]
    assert finding.message.endswith(": /x/b.so and 2 that it needs")


CHAIN = 2000


@pytest.mark.parametrize("circle", [False, True])
def test_a_chain_of_libraries_takes_no_longer_than_its_length(*, circle: bool, tmp_path: Path) -> None:
    names = [f"l{at}.so" for at in range(CHAIN)]
    links = dict(zip(names, [*names[1:], names[0] if circle else "no.so"], strict=True))
    tree = grown(tmp_path, {f"x/{name}": FORGOTTEN + f"\0{below}".encode() for name, below in links.items()})
    seen = Observation(name="o", paths=("/app/prog", *(f"/x/{name}" for name in names)))
    analysis = audit.analyse(tree, observation=seen)
    assert analysis.reach.dlopen == {}
    start = time.process_time()
    assert analysis.observed is not None
    assert time.process_time() - start < 3
    assert [(root, len(below)) for root, below in analysis.observed.unforeseen.items()] == [
        ("/x/l0.so", CHAIN - 1)
    ]


def test_whether_the_loader_finds_many_libraries_by_name_is_looked_up_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [f"/usr/lib/l{at}.so" for at in range(50)]
    tree = grown(tmp_path, {path[1:]: FORGOTTEN for path in paths})
    seen = Observation(name="o", paths=("/app/prog", "/tmp/y.so", *paths))
    analysis = audit.analyse(tree, observation=seen)
    assert len(analysis.reach.unreached) == len(paths)
    asked: list[str] = []
    resolve = audit.Tree.resolve

    def counting(tree: audit.Tree, path: str) -> str | None:
        asked.append(path)
        return resolve(tree, path)

    monkeypatch.setattr(audit.Tree, "resolve", counting)
    assert analysis.observed is not None
    assert analysis.observed.perhaps == tuple(sorted(paths))
    assert asked.count("/usr/lib") == 1


def test_many_unforeseen_libraries_are_one_finding_with_their_count(tmp_path: Path) -> None:
    paths = [f"/x/{name}.so" for name in "abcde"]
    tree = grown(tmp_path, {path[1:]: FORGOTTEN for path in paths})
    finding = findings(tree, "/app/prog", *paths)["mapped-unforeseen"]
    assert (finding.subject, finding.severity) == ("the image", Severity.WARNING)
    assert finding.message == (
        "5 libraries were mapped, and nothing mapped beside them needs them, nor does a program, Python or "
        "configuration file name them: /x/a.so, /x/b.so, /x/c.so and 2 more"
    )


def test_what_configuration_names_is_opened_and_not_unforeseen(tmp_path: Path) -> None:
    tree = grown(tmp_path, {"etc/x.conf": b"/x/a.so", "x/a.so": FORGOTTEN})
    found = findings(tree, "/app/prog", "/x/a.so")
    assert "mapped-unforeseen" not in found
    assert "1 by dlopen: /x/a.so" in found["mapped-later"].message
    assert "named in /etc/x.conf" in found["mapped-later"].message


FROM_ELSEWHERE = {
    "found by name, something from elsewhere": ("/usr/lib/x.so", ["/tmp/y.so"], True),
    "found by name, all from the target": ("/usr/lib/x.so", [], False),
    "not found by name, something from elsewhere": ("/opt/x.so", ["/tmp/y.so"], False),
}


@pytest.mark.parametrize(("path", "elsewhere", "may"), FROM_ELSEWHERE.values(), ids=FROM_ELSEWHERE)
def test_what_the_loader_finds_by_name_may_be_needed_by_what_is_from_elsewhere(
    path: str, elsewhere: list[str], *, may: bool, tmp_path: Path
) -> None:
    tree = grown(tmp_path, {path[1:]: FORGOTTEN})
    found = findings(tree, "/app/prog", path, *elsewhere)
    assert ("mapped-unforeseen" in found) == (not may)
    if elsewhere:
        message = "1 library mapped is not in the image: /tmp/y.so"
        perhaps = f"; it may need {path}, which nothing in the target needs" if may else ""
        assert found["mapped-elsewhere"].message == message + perhaps


def test_extension_modules_are_told_from_what_they_need() -> None:
    tree = read_folder(TREES / "extension-takes-from-the-interpreter")
    modules = sorted(path for path in tree.entries if path.endswith((".so",)))
    analysis = audit.analyse(tree, observation=Observation(name="o", paths=tuple(modules)))
    found = analysis.observed
    assert found is not None
    assert set(found.imported) == set(analysis.bindings.modules) & set(modules)
    assert found.imported
    assert found.never == ()


def test_what_is_not_in_the_target_is_a_warning() -> None:
    tree = replace(with_interpreter(PROGRAM), form="image")
    finding = findings(tree, *LOADED, "/tmp/unpacked/x.so")["mapped-elsewhere"]
    assert (finding.severity, finding.subject) == (Severity.WARNING, tree.name)
    assert finding.message == "1 library mapped is not in the image: /tmp/unpacked/x.so"


def test_of_a_package_without_its_system_nothing_is_from_elsewhere() -> None:
    package = zipped({"x.so": content(PLUGIN)})
    assert "mapped-elsewhere" not in findings(package, "/x.so", "/lib/libc.so.6")


def test_a_path_over_a_symlink_is_the_file_it_leads_to() -> None:
    tree = with_interpreter(PROGRAM)
    link = replace(tree.entries["/app/prog"], kind="symlink", target="app/prog", opener=None)
    linked = replace(tree, entries={**tree.entries, "/link": link})
    analysis = audit.analyse(linked, observation=Observation(name="o", paths=("/link",)))
    assert analysis.observed is not None
    assert analysis.observed.mapped == {"/app/prog"}


def test_of_a_package_what_its_runtime_brings_is_neither_its_own_nor_from_elsewhere() -> None:
    runtime = with_interpreter(PROGRAM)
    seen = Observation(name="o", paths=("/action/x.so", *LOADED))
    analysis = audit.analyse(zipped({"x.so": content(PLUGIN)}), runtime=runtime, observation=seen)
    assert analysis.observed is not None
    assert analysis.observed.mapped == {"/action/x.so"}
    assert analysis.observed.elsewhere == ()
