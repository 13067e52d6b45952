"""Where a loader looks: its tokens, its default folders on each machine, what an image's configuration says."""

import io
from functools import partial

import pytest

from audit.elf import Abi
from audit.loader import PLATFORMS, Loader, expand, expand_path, loader_of
from audit.readers.builder import TreeBuilder
from audit.tree import Entry, ImageConfig, Tree

X86 = Abi("x86-64", 64, little=True)
LOADER = Loader(library_path="", cache={}, default=(), lib="lib64", platform="x86_64", working_dir="/srv")


def tree_of(files: dict[str, str], config: ImageConfig | None = None) -> Tree:
    builder = TreeBuilder("x")
    for path, text in files.items():
        content = text.encode()
        opener = partial(io.BytesIO, content)
        builder.put(path, Entry(kind="file", mode=0o644, size=len(content), opener=opener))
    return builder.build("image", config=config)


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$ORIGIN", "/app"),
        ("${ORIGIN}/../lib", "/app/../lib"),
        ("/opt/$LIB/${PLATFORM}", "/opt/lib64/x86_64"),
        ("$ORIGINAL/$LIBS", "$ORIGINAL/$LIBS"),
        ("${ORIGIN", "${ORIGIN"),
        ("$ORIGIN-x", "/app-x"),
        ("a$b", "a$b"),
    ],
)
def test_tokens_are_replaced_up_to_where_an_identifier_would_end(text: str, expanded: str) -> None:
    assert expand(LOADER, text, "/app") == expanded


@pytest.mark.parametrize(
    ("text", "separators", "folders"),
    [
        ("", ":", ()),
        ("/a:/b/:/a", ":", ("/a", "/b", "/a")),
        ("/a;/b", ":", ("/a;/b",)),
        ("/a;/b", ":;", ("/a", "/b")),
        ("/a:", ":", ("/a", "/srv")),
        ("lib:./x", ":", ("/srv/lib", "/srv/./x")),
        ("/", ":", ("/",)),
    ],
)
def test_an_empty_or_relative_folder_is_taken_from_the_working_directory(
    text: str, separators: str, folders: tuple[str, ...]
) -> None:
    assert tuple(expand_path(LOADER, text, "/app", separators)) == folders


def test_a_folder_whose_token_has_no_value_is_dropped() -> None:
    riscv = loader_of(tree_of({}), Abi("riscv", 64, little=True))
    assert tuple(expand_path(riscv, "/a/$PLATFORM:/b", "/app")) == (None, "/b")


@pytest.mark.parametrize(("machine", "bits"), PLATFORMS)
def test_every_machine_has_its_multiarch_folders_first_where_the_tree_has_them(
    machine: str, bits: int
) -> None:
    triplet = PLATFORMS[machine, bits].triplet
    loader = loader_of(tree_of({f"/usr/lib/{triplet}/libc.so.6": ""}), Abi(machine, bits, little=True))
    assert loader.default == (f"/lib/{triplet}", f"/usr/lib/{triplet}", "/lib", "/usr/lib")
    assert loader.lib == f"lib/{triplet}"


def test_elsewhere_the_default_is_lib64_on_64_bit() -> None:
    tree = tree_of({"/usr/lib64/libc.so.6": ""})
    assert loader_of(tree, X86).default == ("/lib64", "/usr/lib64", "/lib", "/usr/lib")
    assert loader_of(tree, Abi("i386", 32, little=True)).default == ("/lib", "/usr/lib")
    assert loader_of(tree, Abi("vax", 32, little=True)).default == ("/lib", "/usr/lib")


def test_environment_and_working_directory_come_from_the_image() -> None:
    config = ImageConfig(environment={"LD_LIBRARY_PATH": "/x:$ORIGIN"}, working_dir="/w")
    loader = loader_of(tree_of({}, config), X86)
    assert (loader.library_path, loader.working_dir) == ("/x:$ORIGIN", "/w")
