"""Rules about symbols, paths, C libraries and what is reached: a tree of real ELF files each."""

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

import audit
from audit import named
from audit.binding import bind
from audit.config import Config, RuleRow
from audit.graph import Linker
from audit.readers.folder import read_folder
from audit.readers.zips import read_zip
from audit.rules import Finding
from audit.rules.binding import RULES
from audit.symbols import Reference
from audit.tree import Tree
from tests.audited import zipped

FIXTURES = Path(__file__).parent / "fixtures" / "elf" / "linkage"
TARGET = "the target"
LOADER: dict[str, dict[str, list[str]]] = json.loads((FIXTURES / "loader.json").read_text())


def folder(name: str) -> Tree:
    return read_folder(FIXTURES / "trees" / name)


def with_interpreter(name: str) -> Tree:
    """Give the tree with a loader of its own, as the real one had when it was asked."""
    loader = (FIXTURES / "trees" / "paths" / "app" / "good.so").read_bytes()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("lib64/ld-linux-x86-64.so.2", loader)
    return folder(name).with_mounted(read_zip(file, "loader"), "/")


def found(name: str, rule: str) -> list[Finding]:
    analysis = audit.analyse(replace(with_interpreter(name), name=TARGET))
    return list(audit.check(analysis, [one for one in audit.RULES if one.key == rule]))


@pytest.mark.parametrize("name", sorted(LOADER))
def test_what_is_not_bound_is_what_the_real_loader_does_not_bind(name: str) -> None:
    tree = folder(name)
    linker = Linker(tree)
    for path, missed in LOADER[name].items():
        bindings = bind(linker, [linker.load(f"/{path}")])
        symbols = {str(reference) for one in bindings.unbound for reference in one.references}
        versions = {one.version for one in bindings.lacking}
        assert sorted(versions | symbols) == missed, path


CASES: list[tuple[str, str, list[tuple[str, str]]]] = [
    ("all-symbols-found", "undefined-symbol", []),
    ("all-symbols-found", "unused-needed", []),
    ("weak-symbol-may-be-missing", "undefined-symbol", []),
    ("sysv-hash-table-alone", "undefined-symbol", []),
    (
        "undefined-symbol-bound-now",
        "undefined-symbol",
        [("/app/prog", "a symbol is defined by nothing that it loads: one")],
    ),
    ("undefined-symbol-bound-when-called", "undefined-symbol", []),
    (
        "undefined-symbol-bound-when-called",
        "symbol-from-elsewhere",
        [("/app/prog", "a symbol is defined by nothing that it loads: one")],
    ),
    (
        "undefined-symbol-bound-now",
        "unused-needed",
        [(TARGET, "1 NEEDED names a library of which no symbol is taken: liba.so by /app/prog")],
    ),
    (
        "version-not-provided",
        "missing-version",
        [("/app/prog", "needs V_2 for one, which /app/liba.so does not have")],
    ),
    ("version-not-provided", "symbol-from-elsewhere", []),
    ("version-provided", "missing-version", []),
    ("version-needed-of-an-unversioned-library", "missing-version", []),
    (
        "extension-takes-from-the-interpreter",
        "undefined-symbol",
        [("/usr/lib/python3.11/bad.so", "a symbol is defined by nothing that it loads: PyLong_Gone")],
    ),
    ("extension-takes-from-the-interpreter", "symbol-from-elsewhere", []),
    ("symbol-of-a-library-that-is-not-named", "undefined-symbol", []),
    (
        "symbol-of-a-library-that-is-not-named",
        "symbol-from-elsewhere",
        [("/app/module.so", "a symbol is defined by nothing that it loads: one")],
    ),
    (
        "paths",
        "unsafe-rpath",
        [
            ("/app/build.so", "RPATH has '/home/me/build', a folder of the machine that built it"),
            ("/app/empty.so", "RUNPATH has an empty element, which is the working directory of the process"),
            ("/app/open.so", "RUNPATH has '/tmp/lib', where everyone may write"),
            (
                "/app/relative.so",
                "RUNPATH has 'lib', relative, so it is taken from the working directory of the process",
            ),
        ],
    ),
    (
        "instruction-sets",
        "isa-level",
        [("/app/v3.so", "needs x86-64-v3, above the v1 that the target is sure to have")],
    ),
    (
        "reached-named-and-forgotten",
        "unreachable-library",
        [
            (
                TARGET,
                (
                    "1 library, 1,104 bytes, reached from none of 1 entry point, nor named in any file that is: "
                    "/app/libforgotten.so (1,104)"
                ),
            )
        ],
    ),
]


@pytest.mark.parametrize(("name", "rule", "expected"), CASES)
def test_each_rule_finds_what_is_at_fault_and_no_more(
    name: str, rule: str, expected: list[tuple[str, str]]
) -> None:
    assert [(finding.subject, finding.message) for finding in found(name, rule)] == expected


def test_libraries_named_in_a_program_or_in_its_note_are_set_apart() -> None:
    analysis = audit.analyse(with_interpreter("reached-named-and-forgotten"))
    assert analysis.reach.dlopen == {"/app/libplugin.so": "/app/prog", "/app/libnoted.so.1": "/app/prog"}
    assert analysis.notes["/app/prog"].dlopen == ("libnoted.so.1",)


def test_two_c_libraries_in_one_process_are_an_error() -> None:
    (finding,) = found("two-c-libraries", "mixed-libc")
    assert finding.subject == "/app/prog"
    assert finding.message == "its process needs two C libraries: glibc by /app/prog, musl by /app/liba.so"


def test_without_an_interpreter_at_hand_its_symbols_are_taken_on_trust() -> None:
    content = (FIXTURES / "trees/extension-takes-from-the-interpreter/usr/lib/python3.11/bad.so").read_bytes()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("bad.so", content)
    assert audit.check(audit.analyse(read_zip(file, "wheel")), RULES) == ()


@pytest.mark.parametrize(("name", "missing"), [("libm.so.6", False), ("libz.so.1", True)])
def test_without_an_interpreter_at_hand_the_mathematical_library_is_taken_as_loaded(
    name: str, *, missing: bool
) -> None:
    """As every Python has it: extension modules need not name it."""
    app = FIXTURES / "trees/symbol-of-a-library-that-is-not-named/app"
    runtime = zipped({f"usr/lib/{name}": (app / "liba.so").read_bytes()})
    package = zipped({"module.so": (app / "module.so").read_bytes()})
    found = audit.check(audit.analyse(package, runtime=runtime), RULES)
    assert bool([one for one in found if one.subject == "/action/module.so"]) == missing


def test_without_an_interpreter_or_a_system_what_a_module_misses_is_a_warning() -> None:
    module = (FIXTURES / "trees/symbol-of-a-library-that-is-not-named/app/module.so").read_bytes()
    findings = audit.check(audit.analyse(zipped({"module.so": module})), RULES)
    assert [one.rule for one in findings] == ["symbol-from-elsewhere"]


def test_a_symbol_is_looked_for_in_no_more_files_than_the_fewer() -> None:
    bindings = audit.analyse(with_interpreter("all-symbols-found")).bindings
    looked: list[str] = []

    class Few(dict[str, object]):
        def __contains__(self, path: object) -> bool:
            looked.append(str(path))
            return super().__contains__(path)

    reference = Reference(b"common", None, None, weak=False, function=True)
    many = dict.fromkeys(map(str, range(1000)))
    crowded = replace(bindings, _by_name={b"common": many}, offers={})
    assert crowded.offering(reference, Few()) is None
    assert len(looked) == 0


def test_extension_modules_take_symbols_from_a_python_and_not_from_any_program() -> None:
    tree = with_interpreter("extension-takes-from-the-interpreter")
    program = Path(FIXTURES / "trees/reached-named-and-forgotten/app/prog").read_bytes()
    entries = {**tree.entries, "/bin/prog": zipped({"prog": program}).entries["/prog"]}
    analysis = audit.analyse(replace(tree, entries=entries))
    assert "/bin/prog" in {host.root for host in analysis.hosts.every}
    assert [host.root for host in analysis.hosts.python] == ["/usr/bin/python3.11"]


@pytest.mark.parametrize(
    ("level", "folder_of_it"), [(1, ""), (2, "glibc-hwcaps/x86-64-v2/"), (4, "glibc-hwcaps/x86-64-v3/")]
)
def test_a_better_processor_gets_the_better_library(level: int, folder_of_it: str) -> None:
    config = Config(rules={"isa-level": RuleRow(thresholds={"level": level})})
    analysis = audit.analyse(folder("better-library-for-a-better-processor"), config=config)
    edges = [edge for edge in analysis.graph.edges["/app/prog"] if edge.needed == "liba.so"]
    assert [edge.path for edge in edges] == [f"/app/{folder_of_it}liba.so"]


@pytest.mark.parametrize(
    "before", [10, named._PIECE_BYTES - 10, named._PIECE_BYTES - 3, 3 * named._PIECE_BYTES]
)
def test_the_name_of_a_library_is_found_anywhere_in_a_large_file(before: int, tmp_path: Path) -> None:
    tree = FIXTURES / "trees" / "reached-named-and-forgotten" / "app"
    for name in ("prog", "libforgotten.so"):
        (tmp_path / name).write_bytes((tree / name).read_bytes())
    assert audit.analyse(audit.read(tmp_path)).reach.unreached == ("/libforgotten.so",)
    with (tmp_path / "prog").open("ab") as file:
        file.write(b"-" * 99 + b"\0" + bytes(before) + b"libforgotten.so\0" + bytes(1 << 20))
    assert audit.analyse(audit.read(tmp_path)).reach.dlopen == {"/libforgotten.so": "/prog"}
