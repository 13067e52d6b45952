"""Extension modules against interpreters, NumPy and platform tags; the facts below those rules, one by one."""

import io
import zipfile
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import audit
from audit.elf import Abi, Elf
from audit.interpreter import (
    Extension,
    Interpreter,
    Libc,
    extension_of,
    imports,
    interpreters,
    libc_of,
    own_interpreter,
    triplet_of,
)
from audit.numpy_abi import NumpyApi, numpy_api
from audit.policy import Needs, best, highest, machine_of, manylinux, needs, policy_of
from audit.readers.zips import read_zip
from audit.rules import Severity, numpy, python
from audit.tree import Tree
from audit.wheels import Distribution, distributions, wheel_name_tags

FIXTURES = Path(__file__).parent / "fixtures" / "elf" / "python"
MATH = (FIXTURES / "math.so").read_bytes()
NUMPY_1 = (FIXTURES / "numpy1.so").read_bytes()
NUMPY_2 = (FIXTURES / "numpy2.so").read_bytes()

X86 = Abi(machine="x86-64", bits=64, little=True)
TRIPLET = "x86_64-linux-gnu"
CP311 = Interpreter(minor=11)
GLIBC = Libc(kind="glibc", version=(2, 36))
BANNER = b"\0GNU C Library (Debian GLIBC 2.36-9+deb12u10) stable release version 2.36.\nCopyright\0"
RUNTIME = {
    "usr/lib/python3.11/os.py": b"",
    "usr/bin/python3.11": b"",
    "lib/x86_64-linux-gnu/libc.so.6": BANNER,
    "lib64/ld-linux-x86-64.so.2": b"",
}


def tree(files: Mapping[str, bytes | str], name: str = "action.zip") -> Tree:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return read_zip(file, name)


def dist(
    name: str, *tags: str, site: str = "", metadata: str = "", files: tuple[str, ...] = ()
) -> dict[str, bytes | str]:
    folder = f"{site}{name}.dist-info"
    return {
        f"{folder}/WHEEL": "Wheel-Version: 1.0\n" + "".join(f"Tag: {tag}\n" for tag in tags),
        f"{folder}/METADATA": f"Metadata-Version: 2.1\n{metadata}\nA description\nRequires-Dist: not-this\n",
        f"{folder}/RECORD": "".join(f"{file},,\n" for file in files),
    }


OF_PYTHON = (*python.RULES, *numpy.RULES)


def findings(target: Tree, runtime: Tree | None = None) -> list[tuple[str, str]]:
    analysis = audit.analyse(target, runtime=runtime, machine="amd64")
    return [(one.rule, one.subject) for one in audit.check(analysis, OF_PYTHON)]


def message(target: Tree, rule: str, runtime: Tree | None = None) -> str:
    analysis = audit.analyse(target, runtime=runtime, machine="amd64")
    (found,) = (one for one in audit.check(analysis, OF_PYTHON) if one.rule == rule)
    return found.message


# interpreters and extension modules


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (["usr/lib/python3.11/os.py"], ["CPython 3.11"]),
        (["usr/lib/python3.11/os.pyc"], ["CPython 3.11"]),
        (["usr/lib/python3.12/encodings/__init__.py"], ["CPython 3.12"]),
        (["opt/py/lib/python3.13t/os.py", "usr/bin/python3.11"], ["CPython 3.11", "CPython 3.13t"]),
        (["usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0"], ["CPython 3.11"]),
        (["usr/lib/pypy3.9/os.py"], ["PyPy 3.9"]),
        (["usr/lib/python3.11/site-packages/x.py", "usr/share/python3.10/os.py"], []),
        (["usr/lib/python3/dist-packages/x.py", "usr/bin/python3"], []),
    ],
)
def test_a_tree_shows_its_pythons_by_their_files(paths: list[str], found: list[str]) -> None:
    assert [str(one) for one in interpreters(tree(dict.fromkeys(paths, b"")))] == found


@pytest.mark.parametrize(
    ("name", "minor", "flags", "triplet"),
    [
        ("_x.cpython-311-x86_64-linux-gnu.so", 11, "", TRIPLET),
        ("_x.cpython-311.so", 11, "", ""),
        ("_x.cpython-37m-x86_64-linux-gnu.so", 7, "m", TRIPLET),
        ("_x.cpython-311d-x86_64-linux-gnu.so", 11, "d", TRIPLET),
        ("_x.cpython-313t-x86_64-linux-musl.so", 13, "", "x86_64-linux-musl"),
        ("_x.pypy39-pp73-x86_64-linux-gnu.so", 9, "", TRIPLET),
        ("_x.abi3.so", None, "", ""),
        ("_x.abi3t.so", None, "t", ""),
    ],
)
def test_the_name_of_an_extension_says_for_whom_it_is_built(
    name: str, minor: int | None, flags: str, triplet: str
) -> None:
    found = extension_of(f"/p/{name}")
    assert found is not None
    assert (found.interpreter.minor if found.interpreter else None) == minor
    assert (found.module, found.flags, found.triplet) == ("/p/_x", flags, triplet)


@pytest.mark.parametrize(
    "name", ["x.so", "libx.so.3", "x.cpython-311.so.1", "x.cpython-27.so", "x.cpython-3.so", "x"]
)
def test_other_names_say_nothing(name: str) -> None:
    assert extension_of(f"/p/{name}") is None


@pytest.mark.parametrize(
    ("interpreter", "name", "taken"),
    [
        (CP311, "x.cpython-311-x86_64-linux-gnu.so", True),
        (CP311, "x.cpython-311.so", True),
        (CP311, "x.abi3.so", True),
        (CP311, "x.abi3t.so", False),
        (Interpreter(minor=15, threaded=True), "x.abi3t.so", True),
        (CP311, "x.cpython-310-x86_64-linux-gnu.so", False),
        (CP311, "x.cpython-311-x86_64-linux-musl.so", False),
        (CP311, "x.cpython-311-aarch64-linux-gnu.so", False),
        (CP311, "x.cpython-311d-x86_64-linux-gnu.so", False),
        (CP311, "x.pypy311-pp73-x86_64-linux-gnu.so", False),
        (Interpreter(minor=7), "x.cpython-37m-x86_64-linux-gnu.so", True),
        (Interpreter(minor=13, threaded=True), "x.cpython-313t-x86_64-linux-gnu.so", True),
        (Interpreter(minor=13, threaded=True), "x.cpython-313-x86_64-linux-gnu.so", False),
        (Interpreter(minor=13, threaded=True), "x.abi3.so", False),
        (Interpreter(minor=13), "x.cpython-313t-x86_64-linux-gnu.so", False),
        (Interpreter(implementation="pypy", minor=9), "x.pypy39-pp73-x86_64-linux-gnu.so", True),
        (Interpreter(implementation="pypy", minor=9), "x.abi3.so", False),
    ],
)
def test_an_interpreter_imports_what_is_named_for_it(
    interpreter: Interpreter, name: str, *, taken: bool
) -> None:
    extension = extension_of(f"/{name}")
    assert isinstance(extension, Extension)
    assert imports(interpreter, extension, TRIPLET) is taken


def test_musl_is_in_the_triplet_from_3_11_on() -> None:
    musl = Libc(kind="musl")
    assert [triplet_of(X86, musl, minor) for minor in (10, 11)] == [TRIPLET, "x86_64-linux-musl"]
    assert triplet_of(X86, None, 11) is None
    assert triplet_of(Abi(machine="vax", bits=32, little=True), musl, 11) is None


def test_the_c_library_says_its_version() -> None:
    folders = ("/lib/x86_64-linux-gnu", "/lib")
    assert libc_of(tree(RUNTIME), folders) == GLIBC
    assert libc_of(tree({"lib/libc.so.6": b"?"}), folders) == Libc(kind="glibc")
    assert libc_of(tree({"lib/ld-musl-x86_64.so.1": b""}), folders) == Libc(kind="musl")
    assert libc_of(tree({}), folders) is None


def test_a_folder_of_a_python_is_on_no_other_path() -> None:
    assert own_interpreter("/opt/lib/python3.9/site-packages/x.so") == Interpreter(minor=9)
    assert own_interpreter("/usr/lib/python3/dist-packages/x.so") is None


BAD = "m/x.cpython-310-x86_64-linux-gnu.so"
GOOD = "m/x.cpython-311-x86_64-linux-gnu.so"


@pytest.mark.parametrize(
    ("files", "runtime", "found"),
    [
        ([BAD], RUNTIME, [("foreign-extension", "/action/m")]),
        ([GOOD], RUNTIME, []),
        ([BAD, GOOD], RUNTIME, [("spare-extension", "/action/m")]),
        ([BAD, "m/x.so"], RUNTIME, [("spare-extension", "/action/m")]),
        ([BAD, "m/y.cpython-310-x86_64-linux-gnu.so"], RUNTIME, [("foreign-extension", "/action/m")]),
        (["m/x.abi3.so", "m/y.so"], RUNTIME, []),
        ([BAD], None, []),  # nothing says which Python
        (
            [f"lib/python3.11/site-packages/{BAD}"],
            None,
            [("foreign-extension", "/lib/python3.11/site-packages/m")],
        ),
        ([f"lib/python3.10/site-packages/{BAD}"], None, []),
    ],
)
def test_an_extension_for_another_python_is_an_error(
    files: list[str], runtime: dict[str, bytes] | None, found: list[tuple[str, str]]
) -> None:
    target = tree(dict.fromkeys(files, MATH))
    assert findings(target, tree(runtime) if runtime else None) == found


def test_without_a_runtime_the_tags_of_the_wheel_say_which_python() -> None:
    files = {BAD: MATH, **dist("m-1", "cp311-cp311-linux_x86_64", files=(BAD,))}
    assert ("foreign-extension", "/m-1.dist-info") in findings(tree(files))


# distributions


@pytest.mark.parametrize(
    ("tags", "metadata", "found"),
    [
        (["py3-none-any"], "", False),
        ([], "", False),
        (["cp311-cp311-manylinux_2_36_x86_64"], "", False),
        (["cp37-abi3-manylinux2014_x86_64"], "", False),
        (["cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64"], "", False),
        (["cp311-cp311-linux_x86_64"], "", False),
        (["cp310-cp310-manylinux_2_17_x86_64"], "", True),
        (["cp312-abi3-manylinux_2_17_x86_64"], "", True),
        (["cp311-cp311-manylinux_2_37_x86_64"], "", True),
        (["cp311-cp311-musllinux_1_2_x86_64"], "", True),
        (["cp311-cp311-manylinux_2_17_aarch64"], "", True),
        (["py3-none-any"], "Requires-Python: >=3.9\n", False),
        (["py3-none-any"], "Requires-Python: >=3.12\n", True),
        (["py3-none-any"], "Requires-Python: <3.11.5\n", False),
        (["py3-none-any"], "Requires-Python: nonsense\n", False),
    ],
)
def test_what_pip_would_not_install_here_is_a_finding(tags: list[str], metadata: str, *, found: bool) -> None:
    target = tree(dist("m-1", *tags, metadata=metadata))
    assert (findings(target, tree(RUNTIME)) == [("foreign-wheel", "/action/m-1.dist-info")]) is found


def test_the_name_of_a_wheel_counts_before_what_is_in_it() -> None:
    files = dist("m-1", "cp311-cp311-manylinux_2_17_x86_64")
    target = tree(files, "/x/m-1-cp310-cp310-manylinux_2_17_x86_64.whl")
    assert "cp310-cp310" in message(target, "foreign-wheel", tree(RUNTIME))


def read_one(files: Mapping[str, bytes | str]) -> Distribution:
    found = tree(files)
    (one,) = distributions(found, found.entries)
    return one


@pytest.mark.parametrize(
    ("lines", "admitted"),
    [
        (["numpy>=1.23"], True),
        (["NumPy (<3,>=1.23)"], True),
        (["numpy<2"], False),
        (["numpy~=1.26"], False),
        (["numpy>=1.23", "numpy<2"], False),
        (["numpy>=1.23; python_version>='3.12'", "numpy<2; python_version<'3.12'"], False),
        (["numpy>=2; extra=='new'"], None),
        (["numpydoc", "???", "numpy" * 200], None),
        (["numpy; " + "(" * 50 + "python_version>'3'" + ")" * 50], None),
        ([], None),
    ],
)
def test_requirements_admit_releases(lines: list[str], *, admitted: bool | None) -> None:
    one = read_one(dist("m-1", metadata="".join(f"Requires-Dist: {line}\n" for line in lines)))
    assert one.admits("numpy", numpy.NUMPY_2, 11) is admitted


WORDS = (
    "numpy",
    "cp311",
    "abi3",
    "manylinux",
    "python_version",
    "extra",
    "and",
    "in",
    "1.2",
    "3",
    *"<>=!~;()[]'.-_*,@ \n",
)
HEADER = st.binary(max_size=300) | st.lists(st.sampled_from(WORDS)).map("".join).map(str.encode)


@given(HEADER, HEADER)
def test_any_bytes_are_metadata(wheel: bytes, metadata: bytes) -> None:
    one = read_one(
        {
            "m-1.dist-info/WHEEL": b"Tag: " + wheel,
            "m-1.dist-info/METADATA": b"Requires-Python: " + metadata + b"\nRequires-Dist: " + metadata,
        }
    )
    assert isinstance(one.is_for(CP311, GLIBC, "x86_64"), bool)
    assert isinstance(one.takes(CP311), bool)
    assert one.admits("numpy", ("2.0",), 11) in (None, True, False)


def test_a_tag_of_a_thousand_alternatives_is_no_tag() -> None:
    many = ".".join(["a"] * 1000)
    assert read_one(dist("m-1", f"{many}-{many}-{many}")).tags == frozenset()


@pytest.mark.parametrize("name", ["x.zip", "x.whl", "m-1-cp311.whl", "-.whl", "m-1-py3-none-any.whl/x"])
def test_other_names_are_no_wheels(name: str) -> None:
    assert wheel_name_tags(name) == frozenset()


# policies


@pytest.mark.parametrize(
    ("tag", "libc"),
    [
        ("manylinux1_x86_64", (2, 5)),
        ("manylinux2014_x86_64", (2, 17)),
        ("manylinux_2_28_x86_64", (2, 28)),
        ("manylinux_2_30_x86_64", (2, 30)),
        ("manylinux_2_99_x86_64", (2, 99)),
        ("musllinux_1_2_x86_64", (1, 2)),
        ("linux_x86_64", None),
        ("manylinux_2_4_x86_64", None),
        ("manylinux_2_28_aarch64", None),
        ("manylinux_2_9999999999_x86_64", None),
        ("manylinux_2_x_x86_64", None),
        ("any", None),
    ],
)
def test_a_tag_names_a_policy(tag: str, libc: tuple[int, int] | None) -> None:
    found = policy_of(tag, "x86_64")
    assert (found.libc if found else None) == libc


def test_policies_grow() -> None:
    for machine in ("x86_64", "aarch64", "i686", "armv7l", "ppc64le", "s390x", "riscv64"):
        rows = manylinux(machine)
        for older, newer in pairwise(rows):
            assert older.libc < newer.libc
            assert older.libraries <= newer.libraries
            assert (older.versions or frozenset()) <= (newer.versions or frozenset())
    assert manylinux("vax") == ()


def wanting(*versions: str, libraries: tuple[str, ...] = ("libc.so.6",)) -> Needs:
    elf = Elf(
        abi=X86, type="shared", verneed=(("libc.so.6", versions), ("ld-linux-x86-64.so.2", ("GLIBC_9.9",)))
    )
    pairs = [("/a.so", library) for library in (*libraries, "ld-linux-x86-64.so.2")]
    return needs({"/a.so": elf}, pairs, "x86_64")


@pytest.mark.parametrize(
    ("wanted", "policy"),
    [
        (wanting("GLIBC_2.2.5"), "manylinux_2_5_x86_64"),
        (wanting("GLIBC_2.17"), "manylinux_2_17_x86_64"),
        (wanting("GLIBC_2.29"), "manylinux_2_31_x86_64"),
        (wanting("GLIBC_2.5", "GLIBCXX_3.4.30"), "manylinux_2_35_x86_64"),
        (wanting("GLIBC_ABI_DT_RELR"), "manylinux_2_36_x86_64"),
        (wanting("LIBJPEG_6.2"), "manylinux_2_5_x86_64"),  # of no family that the policies know
        (wanting(libraries=("libexpat.so.1",)), "manylinux_2_12_x86_64"),
        (wanting(libraries=("libgomp.so.1",)), None),
        (wanting("GLIBC_PRIVATE"), None),
        (wanting("GLIBC_2.99"), None),
    ],
)
def test_the_oldest_policy_that_promises_all_is_the_best(wanted: Needs, policy: str | None) -> None:
    found = best(wanted)
    assert (found.name if found else None) == policy


def test_versions_are_compared_as_numbers() -> None:
    versions = ["GLIBC_2.4", "GLIBC_2.17", "GLIBC_PRIVATE", "GLIBCXX_3.4.9", "GLIBCXX_3.4.11", "GCC_3.0", "X"]
    assert highest(versions) == {"GLIBC": "GLIBC_2.17", "GLIBCXX": "GLIBCXX_3.4.11", "GCC": "GCC_3.0"}


def test_machines_have_the_names_of_uname() -> None:
    assert machine_of(X86) == "x86_64"
    assert machine_of(Abi(machine="ppc64", bits=64, little=True)) == "ppc64le"
    assert machine_of(Abi(machine="ppc64", bits=64, little=False)) == "ppc64"
    assert machine_of(Abi(machine="arm", bits=64, little=True)) is None


@pytest.mark.parametrize(
    ("tag", "found"),
    [
        ("manylinux2014_x86_64", ["platform-tag", "platform-needs"]),
        ("manylinux_2_28_x86_64.manylinux_2_31_x86_64", ["platform-tag", "platform-needs"]),
        ("manylinux_2_29_x86_64", ["platform-needs"]),
        ("manylinux_2_31_x86_64", ["platform-needs"]),
        ("musllinux_1_2_x86_64", ["platform-tag", "platform-needs"]),
        ("linux_x86_64", []),
    ],
)
def test_a_platform_tag_is_held_to_what_it_promises(tag: str, found: list[str]) -> None:
    target = tree({"m/x.so": MATH, **dist("m-1")}, f"m-1-cp311-cp311-{tag}.whl")
    assert [rule for rule, _ in findings(target)] == found


def test_an_installed_distribution_is_judged_by_its_own_files() -> None:
    files = {"a/x.so": MATH, **dist("a-1", "cp311-cp311-manylinux_2_31_x86_64", files=("a/x.so",))}
    files |= dist("b-1", "cp311-cp311-manylinux_2_17_x86_64")
    assert findings(tree(files)) == [("platform-needs", "/a-1.dist-info")]
    assert "GLIBC_2.29: fits manylinux_2_31_x86_64" in message(tree(files), "platform-needs")


def test_each_copy_of_a_distribution_has_its_own_files() -> None:
    tags = ("cp311-cp311-manylinux_2_31_x86_64",)
    files = {
        "one/a/x.so": MATH,
        "two/a/y.so": MATH,
        **dist("a-1", *tags, site="one/", files=("a/x.so",)),
        **dist("a-1", *tags, site="two/", files=("a/y.so",)),
    }
    owner = audit.analyse(tree(files), machine="amd64").python.owner
    assert {path: one.site for path, one in owner.items()} == {"/one/a/x.so": "/one", "/two/a/y.so": "/two"}


def test_many_distributions_are_one_note() -> None:
    files: dict[str, bytes | str] = {}
    for name in "abc":
        files |= {
            f"{name}/x.so": MATH,
            **dist(f"{name}-1", "py3-none-manylinux_2_31_x86_64", files=(f"{name}/x.so",)),
        }
    assert findings(tree(files)) == [("platform-needs", "action.zip")]


# NumPy


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (NUMPY_1, NumpyApi(generation=1)),
        (NUMPY_2, NumpyApi(generation=2, oldest=(1, 23))),
        (MATH, None),
        (b"numpy.core._multiarray_umath\0", None),  # named, as in pybind11, but without the check
        (b"\0" * ((1 << 20) - 4) + NUMPY_2, NumpyApi(generation=2, oldest=(1, 23))),
    ],
)
def test_what_is_compiled_in_tells_the_generation_of_numpy(content: bytes, found: NumpyApi | None) -> None:
    assert numpy_api(io.BytesIO(content)) == found


@pytest.mark.parametrize("split", range(0, len(NUMPY_2), 97))
def test_a_mark_across_two_blocks_is_seen(split: int) -> None:
    content = b"\0" * ((1 << 20) - split) + NUMPY_2
    assert numpy_api(io.BytesIO(content)) == NumpyApi(generation=2, oldest=(1, 23))


@pytest.mark.parametrize(
    ("extension", "numpy", "fails"),
    [
        (NUMPY_1, "1.26.4", False),
        (NUMPY_1, "2.0.0", True),
        (NUMPY_2, "2.4.6", False),
        (NUMPY_2, "1.26.4", False),
        (NUMPY_2, "1.22.0", True),
        (NUMPY_2, "3.0", True),
        (NUMPY_1, "what", False),
    ],
)
def test_an_extension_and_the_numpy_beside_it_must_agree(
    extension: bytes, numpy: str, *, fails: bool
) -> None:
    target = tree({"m/x.so": extension, **dist(f"numpy-{numpy}", "py3-none-any")})
    assert (("numpy-abi", "/m") in findings(target)) is fails
    above = tree(dist(f"numpy-{numpy}", site="usr/lib/python3/dist-packages/"))
    alone = tree({"m/x.so": extension})
    assert (("numpy-abi", "/action/m") in findings(alone, above)) is fails


@pytest.mark.parametrize(
    ("extension", "requirement", "warned"),
    [
        (NUMPY_1, "numpy>=1.23", True),
        (NUMPY_1, "numpy<2,>=1.23", False),
        (NUMPY_2, "numpy>=1.23", False),
        (NUMPY_1, "other", False),
    ],
)
def test_metadata_that_lets_a_wrong_numpy_in_is_a_warning(
    extension: bytes, requirement: str, *, warned: bool
) -> None:
    target = tree(
        {
            "m/x.so": extension,
            **dist("m-1", "cp311-cp311-linux_x86_64", metadata=f"Requires-Dist: {requirement}\n"),
        },
        "m-1-cp311-cp311-linux_x86_64.whl",
    )
    assert (("numpy-unbounded", "/m-1.dist-info") in findings(target)) is warned


# the rules


def test_every_rule_explains_itself() -> None:
    for rule in OF_PYTHON:
        assert all((rule.means, rule.matters, rule.mend, rule.source))
    assert {rule.key for rule in OF_PYTHON if rule.severity is Severity.ERROR} == {
        "foreign-extension",
        "numpy-abi",
    }


def test_a_file_that_ends_in_the_middle_is_no_surprise() -> None:
    files = {GOOD: MATH, **dist("m-1", "cp311-cp311-manylinux2014_x86_64", files=(GOOD,))}
    for content in (MATH, NUMPY_1):
        for length in range(0, len(content), 64):
            target = tree({**files, GOOD: content[:length]}, "m-1-cp311-cp311-manylinux2014_x86_64.whl")
            assert isinstance(findings(target, tree(RUNTIME)), list)
