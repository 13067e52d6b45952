"""What protects a file's memory: read off real files, and what the report says of them."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

import audit
from audit.elf import read_elf
from audit.hardening import CANARY, FORTIFIABLE, FORTIFIED, Hardening, has_text_relocations
from audit.readers.zips import read_zip
from audit.rules import Severity
from audit.rules.hardening import RULES, SHOWN

FILES = Path(__file__).parent / "fixtures" / "elf" / "protection" / "files"


def zipped(contents: Mapping[str, bytes]) -> audit.Tree:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return read_zip(file, "action.zip")


def analysis(*names: str, **contents: bytes) -> audit.Analysis:
    return audit.analyse(zipped({**{name: (FILES / name).read_bytes() for name in names}, **contents}))


def protections(name: str) -> Hardening:
    return analysis(name).hardening[f"/{name}"]


def findings(analysed: audit.Analysis) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for finding in audit.check(analysed, RULES):
        found.setdefault(finding.rule, []).append(f"{finding.subject}: {finding.message}")
    return found


@pytest.mark.parametrize(
    ("name", "relro", "now", "lazy"),
    [
        ("full.so", "full", True, False),
        ("partial.so", "partial", False, True),
        ("norelro.so", "no", False, True),
        ("textrel.so", "partial", False, False),
    ],
)
def test_relro_is_full_only_with_binding_at_the_start(name: str, relro: str, now: bool, lazy: bool) -> None:  # noqa: FBT001
    found = protections(name)
    assert (found.relro, found.now, found.lazy) == (relro, now, lazy)


@pytest.mark.parametrize(("name", "pie"), [("pie", "yes"), ("nopie", "no"), ("full.so", "dso")])
def test_a_program_is_loaded_anywhere_or_at_a_fixed_address(name: str, pie: str) -> None:
    assert protections(name).pie == pie


@pytest.mark.parametrize(("name", "canary"), [("canary.so", True), ("plain.so", False), ("nopie", None)])
def test_a_canary_is_told_by_the_symbol_it_calls(name: str, canary: bool | None) -> None:  # noqa: FBT001
    assert protections(name).canary is canary


@pytest.mark.parametrize(
    ("name", "fortified", "fortifiable"), [("fortified.so", 1, 1), ("plain.so", 0, 2), ("full.so", 0, 0)]
)
def test_checked_and_plain_calls_are_counted(name: str, fortified: int, fortifiable: int) -> None:
    found = protections(name)
    assert (found.fortified, found.fortifiable) == (fortified, fortifiable)


def test_names_of_checked_functions_are_those_of_this_machines_libc() -> None:
    libc = Path("/lib/x86_64-linux-gnu/libc.so.6")
    if not libc.exists():
        pytest.skip("no Debian")
    strings = libc.read_bytes().split(b"\0")
    known = {
        name for name in strings if name.startswith(b"__") and name.endswith(b"_chk") and b"@" not in name
    }
    added_later = {b"__strlcpy_chk", b"__strlcat_chk", b"__wcslcpy_chk", b"__wcslcat_chk"}
    assert FORTIFIED - added_later <= known
    assert len(FORTIFIED) == len(FORTIFIABLE) + 1
    assert b"__stack_chk_fail" in CANARY


@pytest.mark.parametrize(
    ("name", "rule", "words"),
    [
        (
            "execstack.so",
            "executable-stack",
            "/execstack.so: it makes the stack executable: PT_GNU_STACK asks for it; glibc 2.41 and later refuse",
        ),
        ("textrel.so", "text-relocations", "/textrel.so: the loader must write into its code (DT_TEXTREL)"),
        (
            "rwx.so",
            "writable-code",
            "/rwx.so: LOAD (offset 0xe8, address 0x4000e8) is writable and executable",
        ),
        ("norelro.so", "no-relro", "action.zip: no RELRO: 1 of 1 file: /norelro.so"),
        ("partial.so", "lazy-binding", "action.zip: symbols bound at the first call"),
        ("nopie", "no-pie", "action.zip: programs at a fixed address: 1 of 1 file: /nopie"),
        ("plain.so", "no-canary", "action.zip: no stack canary: 1 of 1 file: /plain.so"),
        ("plain.so", "no-fortify", "action.zip: no call checked by _FORTIFY_SOURCE: 1 of 1 file: /plain.so"),
    ],
)
def test_each_rule_finds_the_file_made_for_it_and_not_its_hardened_twin(
    name: str, rule: str, words: str
) -> None:
    (found,) = findings(analysis(name))[rule]
    assert found.startswith(words)
    twin = {"nopie": "pie", "plain.so": "canary.so"}.get(name, "full.so")
    twin = "fortified.so" if rule == "no-fortify" else twin
    assert rule not in findings(analysis(twin))


def test_a_library_without_word_on_its_stack_makes_it_executable() -> None:
    content = (FILES / "full.so").read_bytes()
    header = (0x6474E551).to_bytes(4, "little")
    assert content.count(header) == 1
    found = findings(analysis(**{"a.so": content.replace(header, bytes(4))}))
    assert found["executable-stack"] == [
        "/a.so: it makes the stack executable: it has no PT_GNU_STACK; glibc 2.41 and later refuse to dlopen it"
    ]


def in_runtime(glibc: str, *, name: str = "execstack.so") -> audit.Analysis:
    banner = f"\0GNU C Library (Debian GLIBC {glibc}-1) stable release version {glibc}.\nCopyright\0".encode()
    runtime = {"usr/lib/x86_64-linux-gnu/libc.so.6": banner, "usr/lib64/ld-linux-x86-64.so.2": b""}
    return audit.analyse(
        zipped({name: (FILES / name).read_bytes()}), runtime=zipped(runtime), machine="x86-64", at="/action"
    )


@pytest.mark.parametrize(
    ("glibc", "rule", "words"),
    [
        ("2.40", "executable-stack", "it makes the stack executable: PT_GNU_STACK asks for it; glibc 2.41"),
        ("2.41", "refused-stack", "glibc 2.41 of its runtime refuses to dlopen it: PT_GNU_STACK asks for it"),
        ("2.43", "refused-stack", "glibc 2.43 of its runtime refuses to dlopen it: PT_GNU_STACK asks for it"),
    ],
)
def test_whether_a_library_with_such_a_stack_loads_depends_on_the_runtimes_glibc(
    glibc: str, rule: str, words: str
) -> None:
    found = findings(in_runtime(glibc))
    assert found[rule][0].startswith(f"/action/execstack.so: {words}")
    assert {rule} == found.keys() & {"executable-stack", "refused-stack"}


def test_what_is_usual_is_one_note_with_the_largest_files() -> None:
    content = (FILES / "partial.so").read_bytes()
    found = findings(analysis(**{f"{number}.so": content + bytes(number) for number in range(9)}))
    (message,) = found["lazy-binding"]
    assert "9 of 9 files: /8.so, /7.so, " in message
    assert message.endswith(f" and {9 - SHOWN} smaller")


def test_only_what_keeps_a_library_from_loading_is_an_error_and_each_rule_explains_itself() -> None:
    for rule in RULES:
        assert (rule.severity == Severity.ERROR) == (rule.key == "refused-stack")
        assert all((rule.means, rule.matters, rule.mend, rule.source))


def test_text_relocations_are_told_by_either_sign() -> None:
    with (FILES / "textrel.so").open("rb") as file:
        assert has_text_relocations(read_elf(file))
    with (FILES / "full.so").open("rb") as file:
        assert not has_text_relocations(read_elf(file))
