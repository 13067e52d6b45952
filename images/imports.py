"""Tells which files of this project a module needs, so that a build stage gets those and depends on no others."""

import ast
from pathlib import Path


def imported_files(root: Path, module: str) -> frozenset[Path]:
    """The module's own file and those of all modules below `root` that it imports, and that these import.

    `__init__.py` files are left out: they offer a package's whole surface, and a module run by its full name does
    without. Only absolute imports are followed, as this project has no others outside of what it ships.
    """
    found: set[Path] = set()
    queue = [module]
    while queue:
        name = queue.pop()
        file = root / f"{name.replace('.', '/')}.py"
        if file in found or not file.is_file():
            continue
        found.add(file)
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.ImportFrom) and node.module:
                queue += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                queue += [alias.name for alias in node.names]
    return frozenset(found)
