"""Reads a tree of files (image, zip, wheel, folder) and judges whether it will load and fit where it runs.

    tree = audit.read(path)                          # or read_image(file, name), read_folder(path), …
    analysis = audit.analyse(tree, runtime=image)    # nothing is executed, nothing unpacked
    findings = audit.check(analysis)
    print(audit.as_tables(analysis, findings))

What the entry points of a tree need to load is computed by `audit.closure`, a module that is a command as
well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit.analysis import Analysis, analyse
from audit.budget import Budget, Limit
from audit.errors import AuditError
from audit.readers.folder import read_folder
from audit.readers.image import read_image
from audit.readers.target import read
from audit.readers.tars import read_tar
from audit.readers.zips import read_zip
from audit.report import as_json
from audit.rules import RULES, Finding, Rule, Severity, check, exit_status
from audit.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "RULES",
    "Analysis",
    "AuditError",
    "Budget",
    "Finding",
    "Limit",
    "Rule",
    "Severity",
    "Tree",
    "analyse",
    "as_json",
    "as_tables",
    "check",
    "exit_status",
    "read",
    "read_folder",
    "read_image",
    "read_tar",
    "read_zip",
]


def as_tables(
    analysis: Analysis, findings: Sequence[Finding], *, verbose: bool = False, largest: int = 10
) -> str:
    """Give the report as tables; see `audit.tables`."""
    # Imported late: the closure command runs in build stages, where tabulate is not installed.
    from audit import tables  # noqa: PLC0415

    return tables.as_tables(analysis, findings, verbose=verbose, largest=largest)
