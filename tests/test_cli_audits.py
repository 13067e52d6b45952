"""`invoke audit` as it is typed: formats, files, exit codes; no engine where the target is a file."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

import audit
from audit.errors import AuditError
from cli import audits
from cli.audits import Misuse
from tests.audited import PLUGIN, TREES, bad, good

ROOT = Path(__file__).parent.parent
GOOD = str(TREES / "interpreter-meets-a-needed-of-its-soname")
RUNTIME = TREES / "default-path-lib-before-usr-lib"


def output(**options: Any) -> audits.Output:
    return audits.output(**{"form": "", "json": False, "fail_on": "error", "baseline": "", **options})


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "invoke", "audit", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("form", "starts"),
    [("table", "target"), ("json", "["), ("sarif", "{"), ("junit", "<testsuites"), ("markdown", "## ❌")],
)
def test_each_format_is_printed(form: str, starts: str) -> None:
    assert audits.tell([bad(), good()], output(form=form)).startswith(starts)


def test_json_and_its_short_form_are_the_same_and_hold_every_target() -> None:
    text = audits.tell([bad(), good()], output(json=True))
    assert text == audits.tell([bad(), good()], output(form="json"))
    assert [document["target"]["name"] for document in json.loads(text)] == ["a|<b>`.zip", "action.zip"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"form": "xml"}, "choose one of table, json, sarif, junit, markdown"),
        ({"fail_on": "never"}, "choose one of error, warning, note"),
        ({"form": "junit", "json": True}, "exclude each other"),
    ],
)
def test_options_that_make_no_sense_are_refused_in_words(options: dict[str, Any], words: str) -> None:
    with pytest.raises(Misuse, match=words):
        output(**options)


def test_files_are_written_beside_the_text(tmp_path: Path) -> None:
    saved, page = tmp_path / "last.json", tmp_path / "page.html"
    audits.tell([good()], output(save_baseline=str(saved), html=str(page)))
    assert page.read_text().startswith("<!doctype html>")
    text = audits.tell([good()], output(baseline=str(saved)))
    assert f"Since the baseline, {good().analysis.target.name}: nothing changed" in text
    assert (
        json.loads(audits.tell([good()], output(baseline=str(saved), json=True)))[0]["changes"]["new"] == []
    )


@pytest.mark.parametrize("option", ["save_baseline", "html", "baseline"])
def test_a_file_that_cannot_be_is_refused_in_words(tmp_path: Path, option: str) -> None:
    with pytest.raises(Misuse, match=r"cannot (read|write) .*none"):
        audits.tell([good()], output(**{option: str(tmp_path / "none" / "x")}))


@pytest.mark.parametrize("option", ["--baseline", "--config", "--observed"])
def test_a_device_is_refused_and_a_pipe_that_nobody_writes_to_is_not_waited_for(
    tmp_path: Path, option: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    reasons = {"/dev/zero": "it is a device, not a file", str(tmp_path / "pipe"): "a pipe that nobody writes"}
    for name, reason in reasons.items():
        done = run(GOOD, option, name)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"cannot read {name}: " in done.stderr
        assert reason in done.stderr


@pytest.mark.parametrize("option", ["--save-baseline", "--html"])
def test_a_full_disk_ends_the_command_with_its_code_and_the_name_of_the_file(option: str) -> None:
    done = run(str(RUNTIME), option, "/dev/full")
    assert (done.returncode, done.stdout) == (3, "")
    assert "under48: /dev/full: No space left on device; free space" in done.stderr


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    """As on a disk that fills up: the write itself fails, half of it done."""
    file = tmp_path / "last.json"
    file.write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError, match=re.escape(str(file))):
            audits.tell([good()], output(save_baseline=str(file)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert [(entry, entry.read_text()) for entry in tmp_path.iterdir()] == [(file, "old")]


def test_a_report_goes_through_a_symlink_and_into_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("there.html")
    for name in (str(tmp_path / "link"), "/dev/null"):
        audits.tell([good()], output(html=name))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there.html").read_text().startswith("<!doctype html>")
    assert not Path("/dev/null").is_file()


@pytest.mark.parametrize(("fail_on", "status"), [("error", 0), ("warning", 1), ("note", 1)])
def test_the_status_counts_findings_as_bad_as_asked(fail_on: str, status: int) -> None:
    warning = audit.Finding(rule="r", severity=audit.Severity.WARNING, subject="s", message="m", remedy="x")
    judged = [good()._replace(findings=()), good()._replace(findings=(warning,))]
    assert audits.exit_status(judged, output(fail_on=fail_on).fail_on) == status


def test_platforms_and_audit_toml_decide_the_verdict(tmp_path: Path) -> None:
    file = tmp_path / "audit.toml"
    file.write_text('platforms = ["aws-lambda-zip"]\n')
    plain: dict[str, Any] = {"runtime": "", "at": "", "page": False}
    assert audits.asked(config=str(file), profile="", **plain).config.platforms == ("aws-lambda-zip",)
    both = audits.asked(config=str(file), profile="openwhisk, aws-lambda-zip", **plain)
    assert both.config.platforms == ("openwhisk", "aws-lambda-zip")
    with pytest.raises(AuditError, match="cannot read"):
        audits.asked(config=str(tmp_path / "none"), profile="", **plain)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ([GOOD], 0),
        ([str(TREES / "runpath-not-inherited")], 1),
        ([str(TREES / PLUGIN)], 1),
        ([str(TREES / PLUGIN), "--runtime", str(RUNTIME)], 0),
        (["nothing-here.zip"], 2),
        (["nothing-here.tar.zst"], 2),
        ([""], 2),
        (["  "], 2),
        ([GOOD, "--runtime", "", "--config", "", "--baseline", "", "--html", "", "--observed", ""], 0),
        ([str(RUNTIME), "--format", "xml"], 2),
        ([str(RUNTIME), "--at", "relative", "--runtime", str(RUNTIME)], 2),
        ([str(RUNTIME), "--profile", "moon"], 2),
        ([str(RUNTIME), "--no-such-option"], 2),
        ([GOOD, "--observed", "/proc/self/maps"], 0),
        ([GOOD, "--observed", "nothing-here.json"], 2),
        ([GOOD, "--observed"], 2),
        (["--explain", "set-id"], 0),
        (["--explain", "no-such-rule"], 2),
    ],
)
def test_the_command_ends_with_its_code_and_without_a_traceback(words: list[str], status: int) -> None:
    done = run(*words)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert bool(done.stdout) == (status < 2)


def test_what_is_printed_is_the_report_and_nothing_else() -> None:
    root = ET.fromstring(run(str(RUNTIME), "--format", "junit").stdout)
    assert root[0].get("name") == str(RUNTIME)
