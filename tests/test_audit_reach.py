"""What entry points reach, and where else a library may be named: in configuration, and in what starts the image."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

import audit
from audit import named
from audit.hosts import Reach
from audit.rules.reach import RULES
from audit.tree import ImageConfig

TREES = Path(__file__).parent / "fixtures" / "elf" / "linkage" / "trees"
APP = TREES / "reached-named-and-forgotten" / "app"
PROGRAM = (APP / "prog").read_bytes()
NEEDED = (APP / "liba.so").read_bytes()
LIBRARY = (APP / "libforgotten.so").read_bytes()
IMAGE = ImageConfig(command=("/app/prog",))


def analysed(top: Path, files: Mapping[str, bytes], config: ImageConfig = IMAGE) -> audit.Analysis:
    """Analyse an image of a program, the one library that it needs, and these files."""
    for path, content in {"app/prog": PROGRAM, "app/liba.so": NEEDED, **files}.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_bytes(content)
    return audit.analyse(replace(audit.read(top), form="image", config=config))


def reached(top: Path, files: Mapping[str, bytes], config: ImageConfig = IMAGE) -> Reach:
    return analysed(top, files, config).reach


NAMED_IN = {
    "apache": ("etc/apache2/mods-available/x.load", b"LoadModule x_module /usr/lib/mod_x.so\n", "mod_x.so"),
    "pam": ("etc/pam.d/login", b"auth [success=1 default=ignore] pam_x.so nullok\n", "pam_x.so"),
    "preload": ("etc/ld.so.preload", b"/usr/lib/libx.so.2\n", "libx.so.2"),
    "soname": ("etc/x.conf", b"library = libforgotten.so\n", "another-name.so"),
    "nsswitch": ("etc/nsswitch.conf", b"# n\nhosts: files [NOTFOUND=return] x\n", "libnss_x.so.2"),
    "gconv": ("usr/lib/gconv/gconv-modules", b"#\nmodule A-X// INTERNAL A-X 1\n", "A-X.so"),
    "gconv.d": ("usr/lib/gconv/gconv-modules.d/extra.conf", b"module\tA//\tINTERNAL\tA_X\t1\n", "A_X.so"),
    "gconv cache": ("usr/lib/gconv/gconv-modules.cache", b" \x12\0INTERNAL\0A-X.so\0B\0", "A-X.so"),
    "php": ("usr/local/etc/php/conf.d/x.ini", b"; x\nextension=x\n", "x.so"),
    "php quoted": ("usr/local/php.ini", b'zend_extension = "opcache"\r\n', "opcache.so"),
    "vulkan": ("usr/share/vulkan/icd.d/x.json", b'{"library_path": "libvulkan_x.so"}', "libvulkan_x.so"),
    "nginx": ("usr/share/nginx/modules-available/x.conf", b"load_module modules/x.so;", "x.so"),
}


@pytest.mark.parametrize(("file", "content", "library"), NAMED_IN.values(), ids=NAMED_IN)
def test_a_library_that_configuration_names_is_opened_by_name(
    file: str, content: bytes, library: str, tmp_path: Path
) -> None:
    found = reached(tmp_path, {file: content, f"usr/lib/{library}": LIBRARY, "usr/lib/z.so": LIBRARY[:-1]})
    assert found.dlopen[f"/usr/lib/{library}"] == f"/{file}"


NAMED_NOWHERE = {
    "cache of the loader": ("etc/ld.so.cache", b"libx.so.2\0/usr/lib/libx.so.2\0"),
    "list of a package": ("var/lib/dpkg/info/x.list", b"/usr/lib/libx.so.2\n"),
    "too large for configuration": ("etc/x", b"libx.so.2\n" + bytes(named._MAX_CONFIGURATION_BYTES)),
    "a longer name": ("etc/x.conf", b"/usr/lib/not-libx.so.2 libx.so.2.1\n"),
    "another service": ("etc/nsswitch.conf", b"# hosts: x\nx: files\n"),
    "its own name": ("etc/x.d/other.so", LIBRARY + b"\0"),
}


@pytest.mark.parametrize(("file", "content"), NAMED_NOWHERE.values(), ids=NAMED_NOWHERE)
def test_a_list_of_files_or_another_name_does_not_name_a_library(
    file: str, content: bytes, tmp_path: Path
) -> None:
    found = reached(tmp_path, {file: content, "usr/lib/libx.so.2": LIBRARY})
    assert "/usr/lib/libx.so.2" in found.unreached
    assert found.dlopen == {}


def test_a_library_may_be_named_by_a_symlink_that_leads_to_it(tmp_path: Path) -> None:
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/libshort.so").symlink_to("libx-1.2.so")
    found = reached(tmp_path, {"etc/x.conf": b"libshort.so", "usr/lib/libx-1.2.so": LIBRARY})
    assert found.dlopen == {"/usr/lib/libx-1.2.so": "/etc/x.conf"}


STARTED_BY = {
    "environment": (
        ImageConfig(command=("/app/prog",), environment={"LD_PRELOAD": "/l/x.so"}),
        "ENV LD_PRELOAD",
    ),
    "command": (ImageConfig(command=("/app/prog", "--module=x.so")), "CMD"),
    "entrypoint": (ImageConfig(entrypoint=("/app/prog", "load x.so;")), "ENTRYPOINT"),
    "script": (ImageConfig(entrypoint=("/start",)), "/start"),
    "no UTF-8": (ImageConfig(command=("/app/prog", "\ud800 x.so")), "CMD"),
}


@pytest.mark.parametrize(("config", "by"), STARTED_BY.values(), ids=STARTED_BY)
def test_what_starts_an_image_may_name_a_library(config: ImageConfig, by: str, tmp_path: Path) -> None:
    script = b"#!/app/prog\nexport LD_PRELOAD=/l/x.so\n" if by == "/start" else b"#!/app/prog\n"
    found = reached(tmp_path, {"l/x.so": LIBRARY, "start": script}, config)
    assert found.entries == ("/app/prog",)
    assert found.dlopen == {"/l/x.so": by}


def test_what_a_named_library_needs_is_told_by_the_file_that_needs_it(tmp_path: Path) -> None:
    plugin = TREES.parents[1] / "trees/plugin-in-a-context-of-its-own/app"
    files = {f"app/{one.relative_to(plugin)}": one.read_bytes() for one in plugin.rglob("*.so")}
    found = reached(tmp_path, {**files, "etc/x.conf": b"plugin.so"})
    assert found.dlopen["/app/plugin.so"] == "/etc/x.conf"
    assert found.dlopen["/app/libs/liba.so"] == "/app/plugin.so"


IDLE = {"idle/prog": PROGRAM + b"\0libnamed.so\0", "idle/liba.so": NEEDED, "idle/libnamed.so": LIBRARY}


def test_what_only_a_program_needs_that_is_not_started_is_counted_apart(tmp_path: Path) -> None:
    analysis = analysed(tmp_path, {**IDLE, "lib/nobodys.so": LIBRARY + b"\0"})
    assert analysis.reach.idle == {"/idle/liba.so": "/idle/prog", "/idle/libnamed.so": "/idle/prog"}
    assert analysis.unreached == ("/lib/nobodys.so",)
    (finding,) = audit.check(analysis, RULES)
    own, others = finding.message.split("; and ")
    assert own.startswith("1 library, ")
    assert own.endswith(f"nor named in any file that is: /lib/nobodys.so ({len(LIBRARY) + 1:,})")
    assert others.startswith("2 libraries, ")
    assert "needed or named only by programs that the image does not start itself: " in others
    assert f"/idle/liba.so ({len(NEEDED):,}, by /idle/prog)" in others
    assert finding.remedy.endswith("leave out the programs that nothing starts, with what only they need")


def test_where_a_shell_is_started_every_program_counts_as_started(tmp_path: Path) -> None:
    found = reached(
        tmp_path, {**IDLE, "bin/sh": PROGRAM, "bin/liba.so": NEEDED}, ImageConfig(command=("sh",))
    )
    assert set(found.entries) == {"/app/prog", "/idle/prog", "/bin/sh"}
    assert found.idle == {}
    assert found.dlopen == {"/idle/libnamed.so": "/idle/prog"}


def test_a_program_that_offers_a_module_is_one_entry_point() -> None:
    tree = audit.read(TREES / "extension-takes-from-the-interpreter")
    module = "/usr/lib/python3.11/good.so"
    analysis = audit.analyse(replace(tree, form="image", config=ImageConfig(command=(module,))))
    assert module in analysis.bindings.modules
    assert sorted(analysis.reach.entries) == sorted(set(analysis.reach.entries))
    assert analysis.reach.entries[0] == module


# What made each name cost as much as all that follows it, or stands before it.
SLOW = {"names alone": b".so", "long words": b"a" * 99 + b"!.so", "lines": b"extension=\n"}


@pytest.mark.parametrize("piece", SLOW.values(), ids=SLOW)
@pytest.mark.parametrize("file", ["etc/x.ini", "etc/nsswitch.conf", "lib/gconv-modules", "x.py"])
def test_a_hostile_file_takes_no_longer_than_its_length(file: str, piece: bytes, tmp_path: Path) -> None:
    size = named._MAX_CONFIGURATION_BYTES
    files = {file: (piece * size)[:size], "x.so": LIBRARY, "y.so": LIBRARY, "z/late.conf": b"y.so"}
    analysis = analysed(tmp_path, files)
    start = time.process_time()
    assert analysis.reach.dlopen == {"/y.so": "/z/late.conf"}
    assert time.process_time() - start < 5


def test_a_name_that_many_libraries_share_takes_no_longer_however_often_it_comes(tmp_path: Path) -> None:
    libraries = {f"l{at}/x.so": LIBRARY for at in range(500)}
    analysis = analysed(tmp_path, {**libraries, "x.py": b"x.so\n" * named._MAX_NAMES_IN_ALL})
    start = time.process_time()
    assert analysis.reach.dlopen == {f"/{path}": "/x.py" for path in libraries}
    assert time.process_time() - start < 5


def test_a_library_names_others_of_its_name_and_is_named_by_a_later_file(tmp_path: Path) -> None:
    own = LIBRARY + b"\0x.so\0"
    analysis = analysed(tmp_path, {"a/x.so": own, "b/x.so": LIBRARY, "c/y.so": own})
    libraries = ["/a/x.so", "/b/x.so"]
    linked = analysis.linked
    found = named.named_libraries(linked, libraries, ["/a/x.so"], notes={})
    assert found == {"/b/x.so": "/a/x.so"}
    found = named.named_libraries(linked, libraries, ["/a/x.so", "/c/y.so"], notes={})
    assert found == {"/a/x.so": "/c/y.so", "/b/x.so": "/a/x.so"}


def test_of_more_names_than_any_target_has_the_rest_is_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(named, "_MAX_NAMES_IN_ALL", 50)
    files = {"a.py": b"x.so " * 30, "b.py": b"x.so " * 30, "c.conf": b"y.so", "y.so": LIBRARY}
    assert reached(tmp_path, files).unreached == ("/y.so",)
