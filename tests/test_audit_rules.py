"""Rules, one tree at fault for each; what the report says of them, as text and as JSON."""

import io
import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

import audit
from audit.budget import Limit
from audit.errors import AuditError
from audit.printable import WIDTH, shorten
from audit.profiles import limit_named
from audit.readers.folder import read_folder
from audit.readers.zips import read_zip
from audit.rules import Finding, Rule, Severity, Verdict
from audit.tree import Anomaly, Tree

OPENWHISK_ZIP_BYTES = limit_named("openwhisk.zip").bytes
TREES = Path(__file__).parent / "fixtures" / "elf" / "trees"
GOOD = "interpreter-meets-a-needed-of-its-soname"


def folder(rule: str) -> Tree:
    return read_folder(TREES / rule)


def system(rule: str) -> Tree:
    """Give the tree as an image, which lacks what is not in it."""
    return replace(folder(rule), form="image")


def content(path: str) -> bytes:
    return (TREES / path).read_bytes()


def zipped(files: dict[str, bytes]) -> Tree:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return read_zip(file, "action.zip")


def check(analysis: audit.Analysis) -> tuple[Finding, ...]:
    """Give what is at fault; the tiny trees, whose libraries nobody uses, also get notes."""
    return audit.check(analysis, [rule for rule in audit.RULES if rule.severity > Severity.NOTE])


def rules_of(analysis: audit.Analysis) -> list[str]:
    return [finding.rule for finding in check(analysis)]


def test_a_tree_that_loads_has_no_finding_and_status_0() -> None:
    analysis = audit.analyse(folder(GOOD))
    findings = check(analysis)
    assert findings == ()
    assert audit.exit_status(findings) == 0
    assert audit.as_tables(analysis, findings).splitlines()[-1].startswith("Verdict: good. ")


def test_what_is_needed_and_not_found_is_an_error_with_its_reason() -> None:
    analysis = audit.analyse(system("no-elf-file-ends-the-search"))
    findings = check(analysis)
    assert {finding.rule for finding in findings} == {"unresolved-needed"}
    messages = [finding.message for finding in findings]
    assert "needs liba.so: the loader stops at /text/liba.so: no ELF file" in messages
    assert "needs /lib64/ld-linux-x86-64.so.2: no such file" in messages
    assert audit.exit_status(findings) == 1


def test_a_zip_is_resolved_on_top_of_its_runtime() -> None:
    package = zipped({"lib/plug.so": content("plugin-in-a-context-of-its-own/app/plugin.so")})
    assert rules_of(audit.analyse(package)) == ["unresolved-needed"] * 2
    runtime = folder("default-path-lib-before-usr-lib")
    analysis = audit.analyse(package, runtime=runtime, at="/action/1/bin")
    assert rules_of(analysis) == []
    assert [edge.path for edge in analysis.graph.edges["/action/1/bin/lib/plug.so"]] == [
        "/lib/liba.so",
        "/usr/lib/libb.so",
    ]


def test_the_faults_of_the_runtime_are_not_those_of_the_package() -> None:
    runtime = folder("runpath-not-inherited")
    assert rules_of(audit.analyse(runtime)) != []
    assert rules_of(audit.analyse(zipped({"__main__.py": b""}), runtime=runtime)) == []


@pytest.mark.parametrize(
    ("rule", "subject"),
    [("wrong-class-passed-over", "/m32/liba.so"), ("wrong-machine-passed-over", "/arm/liba.so")],
)
def test_a_file_for_another_processor_is_an_error(rule: str, subject: str) -> None:
    findings = [f for f in audit.check(audit.analyse(folder(rule))) if f.rule == "wrong-architecture"]
    assert [finding.subject for finding in findings] == [subject]
    assert findings[0].message.endswith("where x86-64 is expected")


@pytest.mark.parametrize(("machine", "wrong"), [("amd64", 0), ("x86-64", 0), ("arm64", 3), ("aarch64", 3)])
def test_the_caller_may_say_which_processor_is_expected(machine: str, wrong: int) -> None:
    assert rules_of(audit.analyse(folder(GOOD), machine=machine)) == ["wrong-architecture"] * wrong


def test_the_runtime_says_which_processor_is_expected() -> None:
    package = zipped({"a.so": content("wrong-machine-passed-over/arm/liba.so")})
    assert "wrong-architecture" not in rules_of(audit.analyse(package))
    assert "wrong-architecture" in rules_of(audit.analyse(package, runtime=folder(GOOD)))


@pytest.mark.parametrize(
    ("option", "words"), [({"machine": "vax"}, "vax"), ({"at": "action"}, "absolute folder")]
)
def test_misuse_is_refused_in_words(option: dict[str, str], words: str) -> None:
    with pytest.raises(AuditError, match=words):
        audit.analyse(zipped({}), runtime=folder(GOOD), **option)  # type: ignore[arg-type]


def test_a_file_cut_short_is_an_error_wherever_it_is_cut() -> None:
    whole = content("rpath-inherited/priv/libb.so")
    for length in range(64, len(whole), 64):
        assert rules_of(audit.analyse(zipped({"a.so": whole[:length]}))) == ["malformed-elf"]


@pytest.mark.parametrize(
    ("size", "rules"),
    [
        (OPENWHISK_ZIP_BYTES // 10 * 9, []),
        (OPENWHISK_ZIP_BYTES // 10 * 9 + 9, ["near-limit"]),
        (OPENWHISK_ZIP_BYTES, ["near-limit"]),
        (OPENWHISK_ZIP_BYTES + 1, ["over-limit"]),
    ],
)
def test_a_zip_near_or_over_what_the_platform_takes(size: int, rules: list[str]) -> None:
    assert rules_of(audit.analyse(replace(zipped({}), archive_size=size))) == rules


def test_an_image_over_the_limit_of_the_user_is_an_error() -> None:
    analysis = audit.analyse(folder(GOOD), limit=Limit(bytes=100, label="image"))
    (finding,) = check(analysis)
    assert (finding.rule, finding.severity, finding.subject) == ("over-limit", Severity.ERROR, "image")


def test_strange_names_are_findings() -> None:
    anomalies = (Anomaly(kind="unsafe-name", name="../x"), Anomaly(kind="duplicate-name", name="y"))
    findings = audit.check(audit.analyse(replace(zipped({}), anomalies=anomalies)))
    assert [(finding.rule, finding.severity, finding.subject) for finding in findings] == [
        ("unsafe-name", Severity.ERROR, "../x"),
        ("duplicate-name", Severity.WARNING, "action.zip"),
    ]


def test_the_caller_may_choose_and_configure_rules() -> None:
    rule = Rule(
        key="many-files",
        severity=Severity.NOTE,
        config={"files": 2},
        judge=lambda analysis, config: (
            [Verdict("all", "too many", "remove some")] if len(analysis.sizes.files) > config["files"] else []
        ),
    )
    findings = audit.check(audit.analyse(folder(GOOD)), [rule])
    assert [(finding.rule, finding.remedy) for finding in findings] == [("many-files", "remove some")]
    assert audit.exit_status(findings) == 0
    assert audit.exit_status(findings, fail_on=Severity.NOTE) == 1


def test_rules_have_different_keys() -> None:
    assert len({rule.key for rule in audit.RULES}) == len(audit.RULES)


LONG = "/".join(["a-folder-with-a-long-name"] * 8)


@pytest.mark.parametrize("verbose", [False, True])
def test_tables_fit_100_columns_and_end_with_the_verdict(verbose: bool) -> None:  # noqa: FBT001
    tree = zipped(
        {
            f"{LONG}/plug.so": content("plugin-in-a-context-of-its-own/app/plugin.so"),
            f"{LONG}/prog": content(f"{GOOD}/app/prog"),
            f"{LONG}/cut.so": content(f"{GOOD}/app/prog")[:300],
            f"../{LONG}": b"",
        }
    )
    runtime = folder("default-path-lib-before-usr-lib")
    analysis = audit.analyse(replace(tree, name=LONG), runtime=runtime, at=f"/{LONG}", limit=Limit(bytes=10))
    text = audit.as_tables(analysis, check(analysis), verbose=verbose)
    assert max(map(len, text.splitlines())) <= WIDTH
    last = text.splitlines()[-1]
    assert re.fullmatch(
        r"Verdict: NOT GOOD\. a-folder[^/]*: 2 native files, [\d,]+ bytes of zip, 4 errors\.", last
    )
    for title in ("Linkage" if verbose else "Libraries", "Packages", "Files", "Budget", "Findings"):
        assert f"\n{title}" in text


def test_names_from_strangers_do_not_reach_the_terminal_raw() -> None:
    assert shorten("a\x1b[31m\u202e\udcff\nb", 99) == r"a\x1b[31m\u202e\xff\nb"
    assert shorten("0123456789", 5) == "01…89"


def test_the_document_says_what_the_tables_say() -> None:
    analysis = audit.analyse(system("runpath-not-inherited"), limit=Limit(bytes=1))
    document = json.loads(json.dumps(audit.as_json(analysis, check(analysis))))
    assert document["schema"] == "under48-audit/1"
    assert document["architecture"] == "x86-64"
    assert document["summary"]["errors"] == len(document["findings"]) == 3
    assert document["exit_status"] == 1
    assert document["summary"]["bytes"] == sum(file["bytes"] for file in document["files"])
    assert document["budgets"][0]["left"] == 1 - document["summary"]["bytes"]
    linkage = {one["path"]: one["needed"] for one in document["linkage"]}
    assert linkage["/app/prog"][1] == {
        "name": "liba.so",
        "path": "/priv/liba.so",
        "how": "RUNPATH",
        "problem": None,
    }
    assert linkage["/priv/liba.so"][0]["path"] is None
