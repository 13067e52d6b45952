"""The modules of the project import each other in one direction, imports for types and late ones included."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "audit",
    "model_fetch",
    "images",
    "cli",
    "action",
    "benchmarks",
    "errors.py",
    "files.py",
    "tasks.py",
)


def modules(root: Path, packages: tuple[str, ...]) -> dict[str, Path]:
    """The files of these packages and modules by the names that they are imported by."""
    files = [file for name in packages for file in ((root / name).rglob("*.py") or ())]
    files += [root / name for name in packages if name.endswith(".py")]
    parts = {file: file.relative_to(root).with_suffix("").parts for file in files}
    return {".".join(names[:-1] if names[-1] == "__init__" else names): file for file, names in parts.items()}


def imported(name: str, file: Path) -> Iterator[str]:
    """The names that a module imports wherever it does so: of modules, and of what is taken from them."""
    package = name if file.stem == "__init__" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{source}.{alias.name}" for alias in node.names)


def imports(files: Mapping[str, Path]) -> dict[str, set[str]]:
    """Which of the modules each one imports; that a package's `__init__` runs before its modules counts nothing."""
    return {
        name: {
            found
            for target in imported(name, file)
            for found in [target if target in files else target.rpartition(".")[0]]
            if found in files
        }
        for name, file in files.items()
    }


def circles(below: Mapping[str, set[str]]) -> set[frozenset[str]]:
    """The largest groups of modules of which each one imports, at some remove, all others and itself."""
    reached: dict[str, set[str]] = {}
    for name in below:
        todo = list(below[name])
        seen = reached[name] = set()
        while todo:
            if (one := todo.pop()) not in seen:
                seen.add(one)
                todo += below[one]
    return {
        frozenset(other for other in seen if name in reached[other])
        for name, seen in reached.items()
        if name in seen
    }


CIRCLES = {
    "from for types": {
        "a/b.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from a.c import C",
        "a/c.py": "import a.b",
    },
    "late": {"a/b.py": "def f():\n    import a.c", "a/c.py": "from a import b"},
    "relative": {"a/b.py": "from . import c", "a/c.py": "from .b import x", "a/d.py": "from .b import x"},
    "over a package": {"a/b/__init__.py": "from ..c import x", "a/c.py": "from a.b import y"},
}


@pytest.mark.parametrize("texts", CIRCLES.values(), ids=CIRCLES)
def test_a_circle_is_found_however_it_is_imported(texts: Mapping[str, str], tmp_path: Path) -> None:
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert circles(imports(modules(tmp_path, ("a",)))) == {frozenset({"a.b", "a.c"})}


def test_modules_on_different_levels_are_no_circle() -> None:
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == set()


def test_no_modules_of_the_project_import_each_other_in_a_circle() -> None:
    below = imports(modules(ROOT, PACKAGES))
    assert len(below) > 150  # all of them are looked at
    assert below["audit.analysis"] >= {
        "audit.graph",
        "audit.python",
        "audit.tree",
    }  # in each of the three ways
    assert circles(below) == set()
