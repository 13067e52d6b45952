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
from audit.baseline import Baseline, Changes, changes_as_json, compare, read_baseline
from audit.budget import Budget, Limit
from audit.config import Config, load_config
from audit.errors import AuditError, UnreadableTargetError
from audit.explain import explain
from audit.html import as_html
from audit.junit import as_junit
from audit.markdown import as_markdown
from audit.observed import MAX_BYTES as MAX_OBSERVATION_BYTES
from audit.observed import Observation, mapped_files, observation_as_json, read_observation
from audit.readers.folder import read_folder
from audit.readers.image import read_image
from audit.readers.target import read
from audit.readers.tars import read_tar
from audit.readers.zips import read_zip
from audit.report import Judged, as_json
from audit.rules import RULES, THRESHOLDS, Finding, Rule, Severity, check, exit_status, judged
from audit.sarif import as_sarif
from audit.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from audit.rules.waivers import Waived

__all__ = [
    "MAX_OBSERVATION_BYTES",
    "RULES",
    "THRESHOLDS",
    "Analysis",
    "AuditError",
    "Baseline",
    "Budget",
    "Changes",
    "Config",
    "Finding",
    "Judged",
    "Limit",
    "Observation",
    "Rule",
    "Severity",
    "Tree",
    "UnreadableTargetError",
    "analyse",
    "as_html",
    "as_json",
    "as_junit",
    "as_markdown",
    "as_sarif",
    "as_tables",
    "changes_as_json",
    "check",
    "compare",
    "exit_status",
    "explain",
    "judge",
    "load_config",
    "mapped_files",
    "observation_as_json",
    "read",
    "read_baseline",
    "read_folder",
    "read_image",
    "read_observation",
    "read_tar",
    "read_zip",
]


def judge(analysis: Analysis) -> Judged:
    """Apply all rules, with the severities, thresholds and waivers of the analysis' `config`."""
    return Judged(analysis, *judged(analysis))


def as_tables(  # noqa: PLR0913 - options of one report, by keyword
    analysis: Analysis,
    findings: Sequence[Finding],
    waived: Sequence[Waived] = (),
    *,
    verbose: bool = False,
    fail_on: Severity = Severity.ERROR,
    changes: Changes | None = None,
) -> str:
    """Give the report as tables; see `audit.tables`."""
    # Imported late: the closure command runs in build stages, where tabulate is not installed.
    from audit import tables  # noqa: PLC0415

    return tables.as_tables(analysis, findings, waived, verbose=verbose, fail_on=fail_on, changes=changes)
