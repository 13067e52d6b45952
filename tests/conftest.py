"""For all tests: what was skipped, and why, in one line; and where a skip is a failure.

At a desk a test without what it needs is skipped. Where CI or UNDER48_MIRRORS is set, everything is to be there, and a
skip is a failure: but for what no set-up could help, and but for files that are neither bundled nor to be reached where
no mirror was named.
"""

import os
import re
from collections import Counter
from collections.abc import Generator, Iterable

import pytest

# Skips that stand everywhere, by the beginning of their reason, since no set-up could help there.
_UNAVOIDABLE = (
    "reads this machine's own programs",  # they are ELF files on Linux only
    "gives up root",  # the rule is about users who are not root: a CI that runs as one is the rule itself
    "starts a second dockerd as root",  # where the engine is not on this machine, or CI is not root
    "no file system may be mounted",  # a CI inside a container often may not, even as root
    "mmdebstrap is not installed",  # it is, wherever no registry answered and the base was made with it
    "no native library",  # with --unit nothing is built; without it, the library is made before the tests run
)
_OUT_OF_REACH = re.compile(
    r"the (?P<kind>\w+) (?P<name>\S+) is not bundled, and (?P<host>\S+) cannot be reached"
)


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
    return reason.removeprefix("Skipped: ")


def _refused_by() -> str:
    """Which variable makes a skip a failure; empty where none does."""
    return next((name for name in ("UNDER48_MIRRORS", "CI") if os.environ.get(name)), "")


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    # An expected failure counts as skipped, too, and is none: what it waits for stands next to it.
    if not (variable := _refused_by()) or report.outcome != "skipped" or hasattr(report, "wasxfail"):
        return
    reason = _reason(report)
    if reason.startswith(_UNAVOIDABLE) or (variable == "CI" and _OUT_OF_REACH.match(reason)):
        return
    report.outcome = "failed"
    report.longrepr = f"skipped, which is a failure where {variable} is set: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield  # a whole module can skip itself
    _refuse_skip(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if skipped := terminalreporter.stats.get("skipped"):
        terminalreporter.write_line(f"skipped: {_in_one_line(map(_reason, skipped))}")


def _in_one_line(reasons: Iterable[str]) -> str:
    """How many tests were skipped for each reason; files out of reach are one reason, with how many they are."""
    parts: Counter[str] = Counter()
    files: set[tuple[str, ...]] = set()
    without = 0
    for reason in reasons:
        if match := _OUT_OF_REACH.match(reason):
            files.add(match.groups())
            without += 1
        else:
            parts[reason] += 1
    said = [f"{_counted(count, 'test')} ({reason})" for reason, count in parts.items()]
    if files:
        kinds = Counter(kind for kind, _, _ in files)
        what = " and ".join(_counted(count, kind) for kind, count in sorted(kinds.items()))
        hosts = ", ".join(sorted({host for _, _, host in files}))
        said.insert(
            0,
            f"{_counted(without, 'test')} of {what} that are not bundled, and {hosts} cannot be reached: "
            "set UNDER48_MIRRORS",
        )
    return "; ".join(said)


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
