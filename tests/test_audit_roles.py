"""Which ELF files of a package its system is to load, and which lie there for something else."""

import struct
from dataclasses import replace
from pathlib import Path

import pytest

import audit
from audit.elf import read_elf
from audit.roles import roles
from audit.sections import SHT_NOBITS, Section, is_debug_companion
from tests.audited import TREES, content, zipped

FILES = TREES.parent / "protection/files"
LIBRARY = content("wrong-machine-passed-over/x86/liba.so")
FOR_ARM = content("wrong-machine-passed-over/arm/liba.so")
PROGRAM = content("wrong-machine-passed-over/app/prog")
PIE = (FILES / "pie").read_bytes()
MACHINE_AT, OSABI_AT = 18, 7
CUDA, AMDGPU, AARCH64, FREEBSD = 190, 224, 183, 9
ET_EXEC_AT, ET_EXEC = 16, 2
PT_NULL, PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_GNU_STACK = 0, 1, 2, 3, 0x6474E551


def with_number(data: bytes, layout: str, at: int, value: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into(layout, changed, at, value)
    return bytes(changed)


def headers(data: bytes, *kinds: int) -> list[int]:
    """Give where program headers of these types stand (ELF64, gABI chapter 5)."""
    start, size, count = *struct.unpack_from("<Q", data, 32), *struct.unpack_from("<HH", data, 54)
    return [
        at
        for at in range(start, start + size * count, size)
        if struct.unpack_from("<I", data, at)[0] in kinds
    ]


def without_headers(data: bytes, *kinds: int) -> bytes:
    """Make program headers of these types PT_NULL."""
    for at in headers(data, *kinds):
        data = with_number(data, "<I", at, PT_NULL)
    return data


def findings(files: dict[str, bytes]) -> set[tuple[str, str]]:
    return {(one.rule, one.subject) for one in audit.check(audit.analyse(zipped(files)))}


I386 = content("wrong-class-passed-over/m32/liba.so")


@pytest.mark.parametrize(
    ("folder", "other"),
    [
        ("linux-arm64", FOR_ARM),
        ("prebuilds/linux-aarch64", FOR_ARM),
        ("lib/x86", I386),
        ("usr/lib/i386-linux-gnu", I386),
        ("freebsd-x86-64", with_number(LIBRARY, "<B", OSABI_AT, FREEBSD)),
    ],
)
def test_a_library_in_a_folder_for_another_platform_beside_its_namesake_for_this_one_is_a_note(
    folder: str, other: bytes
) -> None:
    path = f"/{folder}/libx.so"
    files = {"prog": PROGRAM, "linux-x86-64/libx.so": LIBRARY, path[1:]: other}
    analysis = audit.analyse(zipped(files))
    assert [*analysis.platforms] == [path]
    assert path not in analysis.elves
    (note,) = (one for one in audit.check(analysis) if one.rule == "foreign-file")
    assert path in note.message
    assert {rule for rule, subject in findings(files) if subject == path} == set()


@pytest.mark.parametrize(
    ("path", "other"),
    [
        ("arm64/liby.so", FOR_ARM),  # no namesake
        ("b/libx.so", FOR_ARM),  # no folder for it
        ("linux-x86_64/libx.so", I386),  # a folder for another one
        ("linux-x86_64/libx.so", FOR_ARM),
    ],
)
def test_a_library_for_another_processor_anywhere_else_is_an_error(path: str, other: bytes) -> None:
    files = {"prog": PROGRAM, "a/libx.so": LIBRARY, path: other}
    assert ("wrong-architecture", f"/{path}") in findings(files)


def test_the_libraries_of_a_program_for_another_processor_are_not_to_be_left_out() -> None:
    program = with_number(PROGRAM, "<H", MACHINE_AT, AARCH64)
    files = {"a/prog": PROGRAM, "libx.so": LIBRARY, "b/tool": program, "aarch64/libx.so": FOR_ARM}
    assert [*audit.analyse(zipped(files)).platforms] == []


def test_a_package_with_each_library_for_several_platforms_is_judged_for_the_most_usual_one() -> None:
    analysis = audit.analyse(zipped({"aarch64/libx.so": FOR_ARM, "x86_64/libx.so": LIBRARY}))
    assert (str(analysis.expected), [*analysis.platforms]) == ("x86-64", ["/aarch64/libx.so"])
    (note,) = (one for one in audit.check(analysis) if one.rule == "foreign-file")
    assert note.remedy == "leave them out (without --runtime it is taken for x86-64)"


@pytest.mark.parametrize("machine", [CUDA, AMDGPU])
@pytest.mark.parametrize("name", ["kernels/gemm.cubin", "kernels/gemm.co"])
def test_the_code_of_a_gpu_is_not_taken_for_a_library_of_the_system(name: str, machine: int) -> None:
    files = {"prog": PROGRAM, name: with_number(LIBRARY, "<H", MACHINE_AT, machine)}
    analysis = audit.analyse(zipped(files))
    assert [*analysis.elves] == ["/prog"]
    assert {subject for _, subject in findings(files)} & {f"/{name}"} == set()
    library = {"prog": PROGRAM, "libgpu.so": files[name]}
    assert ("wrong-architecture", "/libgpu.so") in findings(library)


STATIC = with_number(without_headers(LIBRARY, PT_DYNAMIC, PT_INTERP), "<H", ET_EXEC_AT, ET_EXEC)


def with_small_segments(data: bytes) -> bytes:
    """Give every LOAD segment an alignment of 32 bytes."""
    for at in headers(data, PT_LOAD):
        data = with_number(data, "<Q", at + 48, 32)
    return data


@pytest.mark.parametrize(
    ("image", "bare"),
    [
        (without_headers(STATIC, PT_GNU_STACK), True),
        (with_small_segments(STATIC), True),
        (STATIC, False),
    ],
)
def test_what_starts_without_an_operating_system_is_not_judged_as_a_program_for_linux(
    image: bytes, *, bare: bool
) -> None:
    tree = zipped({"boot/kernel.img": image})
    assert [*audit.analyse(tree).elves] == ([] if bare else ["/boot/kernel.img"])
    executable = {**tree.entries, "/boot/kernel.img": replace(tree.entries["/boot/kernel.img"], mode=0o755)}
    assert [*audit.analyse(replace(tree, entries=executable)).elves] == ["/boot/kernel.img"]


def section(name: str, kind: int = 1, flags: int = 2) -> Section:
    return Section(name, kind, flags, 0, 8)


@pytest.mark.parametrize("name", [".interp", ".dynamic", ".dynsym", ".dynstr"])
def test_debug_information_of_a_library_without_code_is_known_by_what_the_loader_would_read(
    name: str,
) -> None:
    assert is_debug_companion([section(name, SHT_NOBITS), section(".debug_info", flags=0)])
    assert not is_debug_companion([section(name), section(".bss", SHT_NOBITS, 3)])


def test_debug_information_beside_its_program_is_not_judged_as_one(tmp_path: Path) -> None:
    path = tmp_path / "lib.so"
    path.write_bytes(LIBRARY)
    with path.open("rb") as file:
        elf = read_elf(file)
    found = roles({"/a": elf, "/a.debug": elf}, {"/a.debug": [section(".dynamic", SHT_NOBITS)]}, elf.abi)
    assert ([*found.loaded], [*found.companions], [*found.platforms]) == (["/a"], ["/a.debug"], [])


@pytest.mark.parametrize("name", ["lib.so", "m.cpython-311-x86_64-linux-gnu.so", "lib.so.1"])
def test_debug_information_in_the_place_of_a_library_is_an_error(name: str) -> None:
    companion = (FILES / "objcopy.debug").read_bytes()
    assert ("malformed-elf", f"/{name}") in findings({name: companion})
    assert findings({f"usr/lib/debug/{name}": companion, f"{name}.debug": companion}) == set()


def test_a_static_program_at_any_address_is_a_program() -> None:
    static = without_headers(PIE, PT_INTERP)
    analysis = audit.analyse(zipped({"tool": static, "liba.so": LIBRARY}))
    assert analysis.elves["/tool"].is_program
    assert not analysis.elves["/liba.so"].is_program
    assert "/tool" in analysis.reach.entries


def test_an_interpreter_that_is_not_there_is_missed_without_a_dynamic_section_too() -> None:
    """As the programs of klibc are: their interpreter is the library itself."""
    tree = zipped(
        {"bin/cat": without_headers(PIE, PT_DYNAMIC).replace(b"/lib64/ld-linux", b"/lib64/klibc-xy")}
    )
    (finding,) = (one for one in audit.check(audit.analyse(tree)) if one.rule == "unresolved-needed")
    assert (finding.subject, finding.message) == (
        "/bin/cat",
        "needs /lib64/klibc-xy-x86-64.so.2: no such file",
    )


def test_data_that_begins_as_an_elf_file_and_is_named_like_none_is_not_judged() -> None:
    names = ("tests/data/blob.tab", "core.1234", "bin/tool", "lib/libx.so.1", "addon.node")
    tree = zipped(dict.fromkeys(names, LIBRARY[:200]))
    found = {one.subject for one in audit.check(audit.analyse(tree)) if one.rule == "malformed-elf"}
    assert found == {"/bin/tool", "/lib/libx.so.1", "/addon.node"}


def test_a_namesake_for_another_processor_is_not_the_library_that_is_missed() -> None:
    files = {"app/lib/liba.so": FOR_ARM, "app/bin/prog": PROGRAM}
    messages = [one.message for one in audit.check(audit.analyse(zipped(files))) if "liba.so" in one.message]
    assert messages
    assert not any("it lies at" in message for message in messages)


def test_of_a_library_that_lies_elsewhere_in_the_package_the_way_there_is_told() -> None:
    files = {"app/lib/liba.so": LIBRARY, "app/bin/prog": PROGRAM}
    (finding,) = (
        one
        for one in audit.check(audit.analyse(zipped(files)))
        if one.rule == "unresolved-needed" and "liba.so" in one.message
    )
    assert finding.message.endswith("; it lies at /app/lib/liba.so")
    assert "$ORIGIN/../lib" in finding.remedy
