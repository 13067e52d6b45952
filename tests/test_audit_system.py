"""What a package without a runtime leaves to the system, for zips, wheels, folders and ELF files alike."""

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

import audit
from audit.elf import Abi
from audit.policy import is_promised
from audit.readers.zips import read_zip
from audit.rules import Severity
from audit.tree import Tree
from tests.audited import PLUGIN, TREES, content, zipped

MATH = (TREES.parent / "python" / "math.so").read_bytes()  # needs libm.so.6
X86 = Abi(machine="x86-64", bits=64, little=True)


@pytest.mark.parametrize(
    ("needed", "promised"),
    [
        ("libc.so.6", True),
        ("libstdc++.so.6", True),
        ("libz.so.1", True),
        ("libGL.so.1", True),
        ("/lib64/ld-linux-x86-64.so.2", True),
        ("ld-musl-x86_64.so.1", True),
        ("libc.musl-x86_64.so.1", True),
        ("libpython3.11.so.1.0", False),
        ("libcudart.so.12", False),
        ("libc.so.6.evil", False),
        ("", False),
    ],
)
def test_what_every_system_has_is_what_the_policies_of_wheels_list(needed: str, *, promised: bool) -> None:
    assert is_promised(needed, X86) is promised


def test_on_a_machine_without_a_policy_only_the_loader_and_musl_are_promised() -> None:
    vax = Abi(machine="vax", bits=32, little=True)
    assert [name for name in ("libm.so.6", "ld-linux.so.2", "libc.so") if is_promised(name, vax)] == [
        "ld-linux.so.2",
        "libc.so",
    ]


def forms(tmp_path: Path, *, suffix: str = ".cpython-312-x86_64-linux-gnu.so") -> dict[str, Tree]:
    """Give the same library in every form of a package."""
    name = f"m/x{suffix}"
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(MATH)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, MATH)
    return {
        "zip": read_zip(packed, "app.zip"),
        "wheel": read_zip(packed, "m-1-cp312-cp312-linux_x86_64.whl"),
        "folder": audit.read(tmp_path),
        "file": audit.read(file),
    }


@pytest.mark.parametrize("form", ["zip", "wheel", "folder", "file"])
def test_what_every_system_has_is_no_error_in_vain_and_the_report_says_what_to_name(
    tmp_path: Path, form: str
) -> None:
    analysis = audit.analyse(forms(tmp_path)[form])
    found = {finding.rule: finding for finding in audit.check(analysis)}
    assert "unresolved-needed" not in found
    note = found["left-to-system"]
    assert (note.severity, note.subject) == (Severity.NOTE, analysis.target.name)
    assert note.message == "a native file counts on the system for libm.so.6"
    assert note.remedy.endswith("--runtime python:3.12-slim")
    edges = [
        edge for one in audit.as_json(analysis, list(found.values()))["linkage"] for edge in one["needed"]
    ]
    assert {(edge["name"], edge["how"]) for edge in edges} == {("libm.so.6", "left to the system")}
    lines = audit.as_tables(analysis, tuple(found.values())).splitlines()
    assert lines[-1].startswith("Verdict: good, without --runtime. ")
    assert "--runtime python:3.12-slim" in "\n".join(lines[-4:-1])
    assert "Unresolved" not in lines


def test_the_runtime_that_the_caller_knows_is_the_one_to_name(tmp_path: Path) -> None:
    analysis = audit.analyse(forms(tmp_path)["zip"], usual_runtime="mine:1")
    assert analysis.left_to_system is not None
    assert analysis.left_to_system.likely == "mine:1"


def test_without_a_hint_the_report_asks_for_an_image(tmp_path: Path) -> None:
    (note,) = [
        finding
        for finding in audit.check(audit.analyse(forms(tmp_path, suffix=".so")["zip"]))
        if finding.rule == "left-to-system"
    ]
    assert note.remedy.endswith("--runtime IMAGE")


def test_what_no_policy_lists_is_an_error_all_the_same() -> None:
    analysis = audit.analyse(zipped({"a.so": content(PLUGIN), "b.so": MATH}))
    found = [finding for finding in audit.check(analysis) if finding.rule == "unresolved-needed"]
    assert {finding.subject for finding in found} == {"/a.so"}
    assert all("--runtime IMAGE" in finding.remedy for finding in found)


def test_a_library_that_the_loader_stops_at_is_not_left_to_the_system() -> None:
    folder = "no-elf-file-ends-the-search"
    findings = audit.check(audit.analyse(audit.read(TREES / folder)))
    messages = [finding.message for finding in findings if finding.rule == "unresolved-needed"]
    assert messages == ["needs liba.so: the loader stops at /text/liba.so: no ELF file"]


def test_an_image_and_a_tree_with_a_c_library_are_systems_which_lack_what_is_not_inside(
    tmp_path: Path,
) -> None:
    package = forms(tmp_path)["folder"]
    image = replace(package, form="image")
    libc = zipped({"lib/x86_64-linux-gnu/libc.so.6": MATH})
    for system in (image, package.with_mounted(libc, "/")):
        analysis = audit.analyse(system)
        assert analysis.left_to_system is None
        assert "unresolved-needed" in {finding.rule for finding in audit.check(analysis)}


def test_with_a_runtime_nothing_is_left_open(tmp_path: Path) -> None:
    analysis = audit.analyse(forms(tmp_path)["zip"], runtime=audit.read(TREES / "runpath-not-inherited"))
    assert analysis.left_to_system is None
    assert "unresolved-needed" in {finding.rule for finding in audit.check(analysis)}


@pytest.mark.parametrize(
    ("wheel", "likely"),
    [
        ("m-1-cp311-cp311-manylinux_2_28_x86_64.whl", "python:3.11-slim"),
        ("m-1-cp37-abi3-manylinux_2_28_x86_64.whl", ""),
    ],
)
def test_a_wheel_whose_modules_have_no_tag_tells_by_its_own(wheel: str, likely: str) -> None:
    tag = wheel.removeprefix("m-1-").removesuffix(".whl")
    metadata = {
        "WHEEL": f"Wheel-Version: 1.0\nTag: {tag}\n",
        "METADATA": "Metadata-Version: 2.1\n",
        "RECORD": "m/x.so,,\n",
    }
    files = {"m/x.so": MATH, **{f"m-1.dist-info/{name}": text.encode() for name, text in metadata.items()}}
    left = audit.analyse(zipped(files, wheel)).left_to_system
    assert left is not None
    assert left.likely == likely
