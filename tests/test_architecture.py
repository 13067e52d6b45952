import platform
import re
import sys
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.enums import ENUM_E_MACHINE
from elftools.elf.segments import InterpSegment

from images.architecture import ARCHITECTURES, Architecture, host, named
from images.errors import UnknownArchitecture


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("amd64", "amd64"),
        ("x86_64", "amd64"),
        ("AMD64", "amd64"),
        ("linux/amd64", "amd64"),
        ("arm64", "arm64"),
        ("aarch64", "arm64"),
        ("linux/arm64", "arm64"),
    ],
)
def test_an_architecture_is_found_under_each_of_its_names(name: str, found: str) -> None:
    assert named(name).name == found


@pytest.mark.parametrize("name", ["", "i386", "riscv64", "linux/", "amd", "linux"])
def test_an_unknown_architecture_is_told_the_known_names(name: str) -> None:
    with pytest.raises(UnknownArchitecture, match=r"choose one of: amd64, arm64"):
        named(name)


def test_no_name_means_two_architectures() -> None:
    names = [
        name
        for each in ARCHITECTURES
        for name in each.aliases | {each.name, each.debian, each.cmake_processor}
    ]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("name", "constant"), [("amd64", "EM_X86_64"), ("arm64", "EM_AARCH64")])
def test_elf_machine_numbers_are_those_of_elf_h(name: str, constant: str) -> None:
    assert named(name).elf_machine == ENUM_E_MACHINE[constant]


@pytest.mark.skipif(sys.platform != "linux", reason="reads this machine's own programs")
def test_the_host_is_described_as_its_own_programs_describe_it() -> None:
    with Path("/bin/sh").open("rb") as file:
        elf = ELFFile(file)
        interpreter = next(s for s in elf.iter_segments() if isinstance(s, InterpSegment)).get_interp_name()
        assert host().elf_machine == ENUM_E_MACHINE[elf.header.e_machine]
        assert host().loader == interpreter
    assert host().cmake_processor == platform.machine()


@pytest.mark.parametrize(
    ("name", "tag", "taken"),
    [
        ("amd64", "manylinux_2_36_x86_64", True),
        ("amd64", "manylinux_2_28_x86_64", True),
        ("amd64", "manylinux2014_x86_64", True),
        ("amd64", "manylinux1_x86_64", True),
        ("amd64", "manylinux_2_37_x86_64", False),  # needs a newer glibc than bookworm's
        ("arm64", "manylinux2014_aarch64", True),
        ("arm64", "manylinux2010_aarch64", False),  # never existed
        ("arm64", "manylinux_2_16_aarch64", False),
    ],
)
def test_wheels_are_taken_up_to_the_glibc_of_the_target(name: str, tag: str, *, taken: bool) -> None:
    assert (tag in named(name).wheel_platforms) is taken


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda a: a.name)
def test_wheel_tags_come_newest_first(architecture: Architecture) -> None:
    minors = [int(m[1]) for t in architecture.wheel_platforms if (m := re.match(r"manylinux_2_(\d+)_", t))]
    assert minors == sorted(minors, reverse=True)
    assert minors[0] == 36
