"""The architectures that images are built for: the one table that knows what each is called where."""

import platform
from dataclasses import dataclass

from images.errors import UnknownArchitecture

GLIBC = (2, 36)  # of the target userland, Debian bookworm


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """One processor architecture under all its names."""

    name: str  # as Docker and OCI call it (GOARCH), and as `--arch` takes it
    debian: str  # dpkg --print-architecture
    triplet: str  # Debian's multiarch tuple: /usr/lib/<triplet>, <triplet>-g++
    elf_machine: int  # e_machine, EM_* in elf.h
    cmake_processor: str  # CMAKE_SYSTEM_PROCESSOR, which is uname -m
    loader: str  # PT_INTERP of its programs, as its psABI names it
    oldest_glibc: tuple[int, int]  # the oldest that wheels for it may name (PEP 600 and its predecessors)
    aliases: frozenset[str] = frozenset()  # other names that machines report for themselves

    @property
    def platform(self) -> str:
        """The engine's name for it, as in `docker run --platform`."""
        return f"linux/{self.name}"

    @property
    def wheel_platforms(self) -> tuple[str, ...]:
        """Platform tags of the wheels that the target userland takes, best first, for `pip download`.

        PEP 600 with the older names of PEP 599, 571 and 513 beside the glibc that each stands for.
        """
        older_names = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}
        tags = []
        for minor in range(GLIBC[1], self.oldest_glibc[1] - 1, -1):
            tags.append(f"manylinux_2_{minor}_{self.cmake_processor}")
            if older := older_names.get((2, minor)):
                tags.append(f"{older}_{self.cmake_processor}")
        return tuple(tags)


ARCHITECTURES = (
    Architecture(
        name="amd64",
        debian="amd64",
        triplet="x86_64-linux-gnu",
        elf_machine=62,  # EM_X86_64
        cmake_processor="x86_64",
        loader="/lib64/ld-linux-x86-64.so.2",
        oldest_glibc=(2, 5),
        aliases=frozenset({"x86_64", "x86-64", "x64"}),
    ),
    Architecture(
        name="arm64",
        debian="arm64",
        triplet="aarch64-linux-gnu",
        elf_machine=183,  # EM_AARCH64
        cmake_processor="aarch64",
        loader="/lib/ld-linux-aarch64.so.1",
        oldest_glibc=(2, 17),
        aliases=frozenset({"aarch64", "arm64v8", "arm64/v8"}),
    ),
)


def named(name: str) -> Architecture:
    """The architecture called `name` by Docker, Debian or `uname -m`, in any case.

    Raises:
        UnknownArchitecture: with the names that are known.
    """
    wanted = name.lower().removeprefix("linux/")
    for architecture in ARCHITECTURES:
        if wanted in architecture.aliases | {architecture.name, architecture.debian}:
            return architecture
    known = ", ".join(architecture.name for architecture in ARCHITECTURES)
    raise UnknownArchitecture(f"there is no architecture {name!r} here; choose one of: {known}")


def host() -> Architecture:
    """The architecture of this machine.

    Raises:
        UnknownArchitecture: this machine's is not in the table.
    """
    return named(platform.machine())
