"""Files that are broken, or made for another system, and what the report says of them."""

import io
import platform
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import audit
from audit.foreign import MACH_O, PE, foreign_format
from audit.readers.folder import read_folder
from audit.readers.zips import read_zip
from audit.rules import Severity, foreign, integrity
from audit.sections import is_debug_companion, past_end, read_sections
from audit.tree import Tree

RULES = (*integrity.RULES, *foreign.RULES)
FILES = Path(__file__).parent / "fixtures" / "elf" / "protection" / "files"
TREES = Path(__file__).parent / "fixtures" / "elf" / "trees"


def content(name: str) -> bytes:
    return (FILES / name).read_bytes()


def zipped(files: dict[str, bytes]) -> Tree:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return read_zip(file, "action.zip")


def found(files: dict[str, bytes]) -> list[tuple[str, str]]:
    return [(f.rule, f.subject) for f in audit.check(audit.analyse(zipped(files)), RULES)]


def altered(data: bytes, layout: str, at: int, value: int) -> bytes:
    """Write one number over."""
    changed = bytearray(data)
    struct.pack_into(layout, changed, at, value)
    return bytes(changed)


def mach_o(magic: str, kind: int = 6) -> bytes:
    order = "<" if magic.startswith("c") and magic != "cafebabe" else ">"
    return bytes.fromhex(magic) + struct.pack(order + "IIIIIII", 0x0100000C, 0, kind, 3, 99, 0, 0)


def pe(offset: int = 128) -> bytes:
    return b"MZ".ljust(60, b"\0") + struct.pack("<I", offset) + bytes(offset - 64) + b"PE\0\0" + bytes(99)


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (mach_o("cffaedfe"), MACH_O),
        (mach_o("cefaedfe"), MACH_O),
        (mach_o("feedface"), MACH_O),
        (mach_o("feedfacf"), MACH_O),
        (mach_o("feedfacf", kind=99), None),
        (bytes.fromhex("cafebabe 00000002") + bytes(40), MACH_O),
        (bytes.fromhex("cafebabe 00000000") + bytes(40), None),
        (bytes.fromhex("cafebabe 00000034") + bytes(40), None),  # a class of Java 8
        (bytes.fromhex("cafebabe 0000002d") + bytes(40), None),  # of Java 1.1
        (pe(), PE),
        (pe()[:130], None),
        (b"MZ" + bytes(100), None),
        (b"MZ".ljust(60, b"\0") + b"\xff\xff\xff\x7f", None),
        (b"MZ", None),
        (b"#!/bin/sh", None),
        (b"", None),
    ],
)
def test_files_of_other_systems_are_told_by_their_first_bytes(data: bytes, form: str | None) -> None:
    assert foreign_format(io.BytesIO(data)) == form


def test_a_library_for_a_mac_is_an_error_and_a_program_for_windows_a_note() -> None:
    files = {
        "x/_speed.cpython-311-darwin.so": mach_o("cffaedfe"),
        "x/libz.so.1.2": mach_o("cffaedfe"),
        "pip/t64.exe": pe(),
        "pip/w64.exe": pe(200),
        "Some.class": bytes.fromhex("cafebabe 00000034") + bytes(40),
    }
    findings = audit.check(audit.analyse(zipped(files)), RULES)
    assert [(f.rule, f.severity, f.subject) for f in findings] == [
        ("foreign-library", Severity.ERROR, "/x/_speed.cpython-311-darwin.so"),
        ("foreign-library", Severity.ERROR, "/x/libz.so.1.2"),
        ("foreign-file", Severity.NOTE, "action.zip"),
    ]
    assert "2 files of 534 bytes in all, for Windows (PE): /pip/w64.exe, /pip/t64.exe" in findings[-1].message


def test_a_package_for_several_systems_has_its_library_for_linux_beside_the_others() -> None:
    linux = {"x/_speed.cpython-311-x86_64-linux-gnu.so": content("full.so")}
    assert found({"x/_speed.cpython-311-darwin.so": mach_o("cffaedfe"), **linux}) == [
        ("foreign-file", "action.zip")
    ]
    assert found({"x/_other.so": mach_o("cffaedfe"), **linux}) == [("foreign-library", "/x/_other.so")]


def test_the_runtimes_foreign_files_are_not_the_packages(tmp_path: Path) -> None:
    (tmp_path / "libx.so").write_bytes(mach_o("cffaedfe"))
    (tmp_path / "libx.so").chmod(0o755)
    runtime = read_folder(tmp_path)
    package = zipped({"liby.so": mach_o("cffaedfe")})
    findings = audit.check(audit.analyse(package, runtime=runtime, at="/action"), RULES)
    assert [(f.rule, f.subject) for f in findings] == [("foreign-library", "/action/liby.so")]


@pytest.mark.parametrize("path", sorted(FILES.iterdir()), ids=lambda path: str(path.name))
def test_what_tools_wrote_is_whole_but_for_what_strip_broke(path: Path) -> None:
    expected = {
        "patched-then-stripped.so": [("misplaced-segment", "/a")],
        "rwx.so": [("misaligned-segment", "/a")],  # ld -N aligns to no page
    }
    name = "a.debug" if path.suffix == ".debug" else "a"
    assert found({name: path.read_bytes()}) == expected.get(path.name, [])


@pytest.mark.parametrize("name", ["eu-strip.debug", "objcopy.debug"])
def test_a_file_of_debug_information_is_told_by_its_code_without_content(name: str) -> None:
    assert is_debug_companion(read_sections(io.BytesIO(content(name))))
    assert not is_debug_companion(read_sections(io.BytesIO(content("patched.so"))))


def test_a_section_that_ends_behind_the_file_is_a_warning() -> None:
    data = content("full.so")
    (table,) = struct.unpack_from("<Q", data, 40)
    data = altered(data, "<Q", table + 64 + 32, len(data))
    sections = read_sections(io.BytesIO(data))
    assert [section.name for section in past_end(sections, len(data))] == [sections[1].name]
    assert sections[1].name.startswith(".")
    assert found({"a.so": data}) == [("section-past-end", "/a.so")]


def test_an_alignment_that_only_new_loaders_take_is_a_warning() -> None:
    data = content("full.so")
    (table,) = struct.unpack_from("<Q", data, 32)
    second = table + 56  # the first header is a LOAD at offset 0, the second one is the other
    assert struct.unpack_from("<I", data, second) == (1,)
    assert found({"a.so": altered(data, "<Q", second + 48, 0x200000)}) == [("misaligned-segment", "/a.so")]


def test_pages_above_4_kib_are_asked_for_on_arm64_only() -> None:
    data = content("full.so")
    assert found({"a.so": altered(data, "<H", 18, 183)}) == [("small-pages", "/a.so")]
    assert found({"a.so": data}) == []


@pytest.mark.parametrize(
    ("machine", "usual", "other", "words"),
    [
        (40, 0x05000400, 0x05000200, "built for the soft-float ABI, where the hard-float ABI is expected"),
        (243, 0x5, 0x1, "built for the soft-float ABI, where the double-float ABI is expected"),
        (21, 2, 1, "built for ABI version 1, where ABI version 2 is expected"),
        (62, 0, 5, None),
        (40, 0x05000400, 0x05000000, None),
    ],
)
def test_another_calling_convention_is_an_error(
    machine: int, usual: int, other: int, words: str | None
) -> None:
    base = altered(content("full.so"), "<H", 18, machine)
    files = {"a.so": altered(base, "<I", 48, usual), "b.so": altered(base, "<I", 48, usual)}
    files["c.so"] = altered(base, "<I", 48, other)
    findings = [f for f in audit.check(audit.analyse(zipped(files)), RULES) if f.rule == "wrong-abi-flags"]
    assert [(f.subject, f.message) for f in findings] == ([("/c.so", words)] if words else [])


@pytest.mark.parametrize(
    ("osabi", "words"), [(0, ""), (3, ""), (9, "FreeBSD (EI_OSABI 9)"), (200, "number 200")]
)
def test_a_library_for_another_system_is_an_error(osabi: int, words: str) -> None:
    data = altered(content("full.so"), "<B", 7, osabi)
    findings = audit.check(audit.analyse(zipped({"a.so": data})), RULES)
    assert [f.rule for f in findings] == (["wrong-abi-flags"] if words else [])
    assert all(words in f.message for f in findings)


def test_many_faults_of_one_file_are_one_finding() -> None:
    data = content("full.so")
    (table,) = struct.unpack_from("<Q", data, 32)
    count = struct.unpack_from("<H", data, 56)[0]
    for index in range(count):
        data = altered(data, "<Q", table + 56 * index + 16, 0x123 + 7 * index)  # p_vaddr
    (finding,) = [
        f for f in audit.check(audit.analyse(zipped({"a.so": data})), RULES) if f.subject == "/a.so"
    ]
    assert len(finding.message) < 600


def test_every_rule_explains_itself() -> None:
    assert all(rule.means and rule.matters and rule.mend and rule.source for rule in RULES)


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(["full.so", "patched-then-stripped.so", "eu-strip.debug", "nopie"]),
    changes=st.lists(
        st.tuples(st.integers(0, 1 << 20), st.binary(min_size=1, max_size=8)), min_size=1, max_size=8
    ),
)
def test_an_altered_file_gets_findings_and_no_exception(name: str, changes: list[tuple[int, bytes]]) -> None:
    data = bytearray(content(name))
    for offset, new in changes:
        at = offset % len(data)
        at = at % 0x400 if offset % 2 else at  # half of them into the headers
        data[at : at + len(new)] = new
    analysis = audit.analyse(zipped({"a.so": bytes(data)}))
    assert isinstance(audit.check(analysis, [rule for rule in audit.RULES if rule in RULES]), tuple)
    assert analysis.hardening is not None


ALIGN, MEMORY, ADDRESS, OFFSET = 48, 40, 16, 8  # of a 64-bit program header


@pytest.mark.parametrize(
    ("name", "rule"), [("full.so", "misaligned-segment"), ("nopie", "misplaced-segment")]
)
def test_a_segment_larger_than_its_memory_keeps_programs_alone_from_starting(name: str, rule: str) -> None:
    data = content(name)
    (table, count) = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    loads = [at for at in range(table, table + 56 * count, 56) if data[at : at + 4] == b"\1\0\0\0"]
    size = struct.unpack_from("<Q", data, loads[-1] + 32)[0]
    assert (rule, "/a.so") in found({"a.so": altered(data, "<Q", loads[-1] + MEMORY, size - 8)})


def test_section_headers_farther_than_any_file_reaches_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.so").write_bytes(altered(content("full.so"), "<Q", 40, (1 << 64) - 64))
    findings = audit.check(audit.analyse(audit.read(tmp_path / "a.so")))
    assert "malformed-elf" in {finding.rule for finding in findings}


@pytest.mark.skipif(platform.machine() != "x86_64" or sys.platform != "linux", reason="needs this loader")
@pytest.mark.parametrize(
    ("field", "change", "words"),
    [
        (ADDRESS, 0x10, "not page-aligned"),
        (OFFSET, 0x10, "not page-aligned"),
        (OFFSET, -0x10, "not page-aligned"),
        (ALIGN, 0, ""),
        (MEMORY, 1 << 40, "cannot map zero-fill pages"),
    ],
)
def test_verdicts_are_those_of_this_machines_loader(
    field: int, change: int, words: str, tmp_path: Path
) -> None:
    data = content("fortified.so")  # what it needs, Python's own process has
    (table,) = struct.unpack_from("<Q", data, 32)
    at = table + 56 + field
    data = altered(data, "<Q", at, struct.unpack_from("<Q", data, at)[0] + change)
    (tmp_path / "a.so").write_bytes(data)
    code = (
        f"import ctypes\ntry: ctypes.CDLL({str(tmp_path / 'a.so')!r})\nexcept OSError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, text=True, stdout=subprocess.PIPE)
    assert words in done.stdout
    assert bool(done.stdout) == bool(words)
    assert [rule for rule, _ in found({"a.so": data})] == (["misplaced-segment"] if words else [])
