"""SARIF as OASIS describes it: what a reader of it relies on, section by section."""

import json
import re
from typing import Any

import pytest

import audit
from audit.rules import RULES
from tests.audited import bad, good

LEVELS = ("none", "note", "warning", "error")
# RFC 3986: what may stand in a relative reference.
REFERENCE = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-F]{2})+")


def log(**options: Any) -> dict[str, Any]:
    made = audit.as_sarif([bad(), good()], RULES, version="1.2.3", **options)
    return dict(json.loads(json.dumps(made)))


def test_a_log_has_the_version_and_a_run_for_each_target() -> None:  # 3.13
    made = log()
    assert made["version"] == "2.1.0"
    assert made["$schema"].endswith("sarif-2.1.0.json")
    assert len(made["runs"]) == 2
    assert len({run["automationDetails"]["id"] for run in made["runs"]}) == 2
    assert all(run["automationDetails"]["id"].endswith("/") for run in made["runs"])


def test_a_run_names_its_tool_and_rules_once() -> None:  # 3.14.6, 3.19, 3.49
    for run in log()["runs"]:
        driver = run["tool"]["driver"]
        assert (driver["name"], driver["version"]) == ("under48", "1.2.3")
        ids = [rule["id"] for rule in driver["rules"]]
        assert ids == [rule.key for rule in RULES]
        for rule in driver["rules"]:
            assert rule["shortDescription"]["text"]
            assert rule["defaultConfiguration"]["level"] in LEVELS
            assert {"text", "markdown"} == rule["help"].keys()


def test_a_result_says_rule_level_message_and_place() -> None:  # 3.27
    run = log()["runs"][0]
    analysis, findings, _ = bad()
    assert len(run["results"]) == len(findings) > 2
    for result, finding in zip(run["results"], findings, strict=True):
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == finding.rule
        assert result["level"] == finding.severity.name.lower()
        assert finding.remedy in result["message"]["text"]
        assert re.fullmatch("[0-9a-f]{16}", result["partialFingerprints"]["under48/v1"])
        (location,) = result["locations"]
        artifact = location["physicalLocation"]["artifactLocation"]
        assert REFERENCE.fullmatch(artifact["uri"])
        assert not artifact["uri"].startswith("/")
        assert ("uriBaseId" in artifact) == (finding.subject in analysis.tree.entries)
        assert artifact.get("uriBaseId", "TARGET") in run["originalUriBaseIds"]
        assert location["logicalLocations"][0]["fullyQualifiedName"]


def test_an_absolute_target_is_no_relative_reference_but_one_within_the_root() -> None:
    analysis = good().analysis
    over = audit.Finding(rule="x", severity=audit.Severity.ERROR, subject="budget", message="m", remedy="r")
    run = audit.as_sarif([audit.Judged(analysis, [over])], RULES, version="1")["runs"][0]
    assert run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "action.zip"
    assert "ruleIndex" not in run["results"][0]


@pytest.mark.parametrize(("fail_on", "code"), [(audit.Severity.ERROR, 1), (audit.Severity.NOTE, 1)])
def test_a_run_that_found_something_went_well(fail_on: audit.Severity, code: int) -> None:  # 3.20
    (invocation,) = log(fail_on=fail_on)["runs"][0]["invocations"]
    assert invocation == {"executionSuccessful": True, "exitCode": code}


def test_with_a_baseline_results_are_new_unchanged_or_absent() -> None:  # 3.27.24
    documents = [audit.as_json(*one) for one in (bad(), good())]
    same = [audit.compare(document, document) for document in documents]
    assert {result["baselineState"] for result in log(changes=same)["runs"][0]["results"]} == {"unchanged"}
    swapped = [audit.compare(*pair) for pair in zip(documents[::-1], documents, strict=True)]
    first, second = log(changes=swapped)["runs"]
    assert "new" in {result["baselineState"] for result in first["results"]}
    assert "absent" in {result["baselineState"] for result in second["results"]}
