"""Targets whose reports have something in every section, with names that no format may take for more."""

import io
import zipfile
from pathlib import Path

import audit
from audit.readers.folder import read_folder
from audit.readers.zips import read_zip

TREES = Path(__file__).parent / "fixtures" / "elf" / "trees"
# What ends a script element, a table's cell, a code span; what steers a terminal; what is no UTF-8 at all.
NASTY = "lib/</script><b>|`x`\x1b[31m\u202e&\"'@all.so"
PLUGIN = "plugin-in-a-context-of-its-own/app/plugin.so"


def content(path: str) -> bytes:
    """Give a file of the trees of ELF fixtures."""
    return (TREES / path).read_bytes()


def zipped(files: dict[str, bytes], name: str = "action.zip") -> audit.Tree:
    """Give a zip of these files as a tree."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return read_zip(file, name)


def judged(tree: audit.Tree, runtime: str = "", limit: int = 0) -> audit.Judged:
    """Analyse and check a tree."""
    analysis = audit.analyse(
        tree,
        runtime=read_folder(TREES / runtime) if runtime else None,
        limit=audit.Limit(bytes=limit) if limit else None,
    )
    return audit.judge(analysis)


def bad() -> audit.Judged:
    """Give a zip that is over its limit and cannot load, with nasty names."""
    files = {NASTY: content(PLUGIN), "cut.so": content(PLUGIN)[:300], "../away": b"", "big.bin": bytes(5000)}
    return judged(zipped(files, "a|<b>`.zip"), limit=1000)


def good() -> audit.Judged:
    """Give a zip that loads on its runtime."""
    return judged(zipped({"lib/plug.so": content(PLUGIN)}), runtime="default-path-lib-before-usr-lib")


def page() -> str:
    image = judged(audit.read(TREES / "default-path-lib-before-usr-lib"), limit=1)
    before, now = audit.as_json(*good()), audit.as_json(*bad())
    changed = {**now, "changes": audit.changes_as_json(audit.compare(before, now))}
    return audit.as_html([changed, before, audit.as_json(*image)], audit.RULES)
