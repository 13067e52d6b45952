"""For all tests: what is skipped at a desk is a failure in CI, where everything that a test needs is to be there."""

import os
from collections.abc import Generator

import pytest

# Skips that stand in CI, too, by the beginning of their reason, since no set-up could help there.
_UNAVOIDABLE = (
    "reads this machine's own programs",  # they are ELF files on Linux only
    "gives up root",  # the rule is about users who are not root: a CI that runs as one is the rule itself
    "starts a second dockerd as root",  # where the engine is not on this machine, or CI is not root
    "no file system may be mounted",  # a CI inside a container often may not, even as root
    "mmdebstrap is not installed",  # it is, wherever no registry answered and the base was made with it
)


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    # An expected failure counts as skipped, too, and is none: what it waits for stands beside it.
    if not os.environ.get("CI") or report.outcome != "skipped" or hasattr(report, "wasxfail"):
        return
    reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    if not reason.startswith(_UNAVOIDABLE):
        report.outcome = "failed"
        report.longrepr = f"skipped, which in CI (the variable CI is set) is a failure: {reason}"


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
