"""What `invoke audit` was asked for, checked; and what it then prints, writes and ends with."""

import datetime as dt
import errno
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import audit
from errors import Under48Error
from files import Unreadable, read_file
from images.whole import write_whole

# A report takes some 300 bytes a file, and a target has at most 300,000.
MAX_BASELINE_BYTES = 256 << 20


class Misuse(Under48Error):
    """The options of the command make no sense."""

    exit_code = 2


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What decides the verdict. `compress` estimates what an image's files would take in a zip: for the page.

    `observed` is the file with what a running container had mapped; empty: the last verify's; None: none.
    """

    runtime: str = ""
    at: str = "/action"
    config: audit.Config = field(default_factory=audit.Config)
    compress: bool = False
    observed: str | None = None


@dataclass(frozen=True, kw_only=True)
class Output:
    """How the verdict is told: `form` to stdout, the others to files where named; since which earlier report."""

    form: str = "table"
    fail_on: audit.Severity = audit.Severity.ERROR
    html: str = ""
    baseline: audit.Baseline | None = None
    save_baseline: str = ""
    verbose: bool = False


def asked(  # noqa: PLR0913 - options of one command, by keyword
    *, runtime: str, at: str, config: str, profile: str, page: bool, observed: str | bool | None = None
) -> Asked:
    """Check the options that decide the verdict; `observed` is True when it was given without a file.

    Raises:
        AuditError: the audit.toml cannot be read or makes no sense.
        Misuse: there is no file of what was observed.
    """
    settings = (
        audit.load_config(config, audit.THRESHOLDS, dt.datetime.now(tz=dt.UTC).date())
        if config
        else audit.Config()
    )
    if profile:
        settings = replace(settings, platforms=tuple(name.strip() for name in profile.split(",")))
    seen = "" if observed is True else observed or None
    if seen and not Path(seen).expanduser().exists():
        raise Misuse(f"--observed: there is no file {seen}")
    return Asked(runtime=runtime, at=at or Asked.at, config=settings, compress=page, observed=seen)


def output(*, form: str, json: bool, fail_on: str, baseline: str, **others: Any) -> Output:
    """Check the options about the output; `json` is short for the form of that name. Reads the baseline.

    Raises:
        AuditError: the baseline is none.
        Misuse: there is no such format or severity, or the baseline cannot be read.
    """
    if json and form not in ("", "json"):
        raise Misuse(f"--json and --format {form} exclude each other")
    form = "json" if json else form or "table"
    if form not in FORMATS:
        raise Misuse(f"--format {form}: choose one of {', '.join(FORMATS)}")
    words = {severity.name.lower(): severity for severity in reversed(audit.Severity)}
    if fail_on not in words:
        raise Misuse(f"--fail-on {fail_on}: choose one of {', '.join(words)}")
    before = audit.read_baseline(_read(baseline), baseline) if baseline else None
    return Output(form=form, fail_on=words[fail_on], baseline=before, **others)


def tell(judged: Sequence[audit.Judged], to: Output) -> str:
    """Write the files that were asked for, and give the text for stdout.

    Raises:
        AuditError: the baseline is one of something else, or damaged.
        Misuse: there can be no file of that name.
        OSError: a file cannot be written.
    """
    documents = [audit.as_json(*one, fail_on=to.fail_on) for one in judged]
    changes = to.baseline.changes(documents) if to.baseline else ()
    if to.save_baseline:
        _write(to.save_baseline, _dumped(documents))
    for document, change in zip(documents, changes, strict=False):
        document["changes"] = audit.changes_as_json(change)
    if to.html:
        _write(to.html, audit.as_html(documents, audit.RULES))
    return FORMATS[to.form](judged, documents, changes, to)


def explain(rule: str) -> str:
    """Give what is to be known of a rule.

    Raises:
        AuditError: there is no such rule.
    """
    return audit.explain(rule, audit.RULES)


def exit_status(judged: Sequence[audit.Judged], fail_on: audit.Severity) -> int:
    """Give 1 when a finding is at least as bad as `fail_on`, else 0."""
    return max(audit.exit_status(one.findings, fail_on) for one in judged)


Documents = Sequence[Mapping[str, Any]]
Since = Sequence[audit.Changes]


def _table(judged: Sequence[audit.Judged], _: Documents, changes: Since, to: Output) -> str:
    return "\n\n".join(
        audit.as_tables(*one, verbose=to.verbose, fail_on=to.fail_on, changes=change)
        for one, change in zip(judged, _each(changes, judged), strict=True)
    )


def _json(_: Sequence[audit.Judged], documents: Documents, _changes: Since, _to: Output) -> str:
    return _dumped(documents)


def _sarif(judged: Sequence[audit.Judged], _: Documents, changes: Since, to: Output) -> str:
    return _dumped(
        audit.as_sarif(judged, audit.RULES, version=_version(), fail_on=to.fail_on, changes=changes)
    )


def _junit(judged: Sequence[audit.Judged], _: Documents, _changes: Since, to: Output) -> str:
    return audit.as_junit(judged, audit.RULES, fail_on=to.fail_on)


def _markdown(judged: Sequence[audit.Judged], _: Documents, changes: Since, to: Output) -> str:
    return "\n\n".join(
        audit.as_markdown(*one, fail_on=to.fail_on, changes=change)
        for one, change in zip(judged, _each(changes, judged), strict=True)
    )


FORMATS: dict[str, Callable[[Sequence[audit.Judged], Documents, Since, Output], str]] = {
    "table": _table,
    "json": _json,
    "sarif": _sarif,
    "junit": _junit,
    "markdown": _markdown,
}


def _each(changes: Since, judged: Sequence[audit.Judged]) -> Sequence[audit.Changes | None]:
    return changes or [None] * len(judged)


def _dumped(value: object) -> str:
    return json.dumps(value, indent=1)


def _version() -> str:
    """Give the program's own version; a checkout is run as it is, without being installed."""
    return str(
        tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]["version"]
    )


def _read(name: str) -> str:
    try:
        return read_file(Path(name).expanduser(), MAX_BASELINE_BYTES, pipes=True).decode("utf-8")
    except (Unreadable, UnicodeDecodeError) as error:
        raise Misuse(f"--baseline: cannot read {name}: {error}") from error


# What a name is at fault for, and not the disk.
_WRONG_NAME = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL)


def _write(name: str, content: str) -> None:
    """Write a report, whole or not at all; into what is no regular file, such as a pipe, in place.

    Raises:
        Misuse: there can be no such file.
        OSError: the disk is full or read-only, or may not be written.
    """
    path = Path(name).expanduser()
    try:
        path = path.resolve()  # a symlink stays one
        if path.exists() and not path.is_file():
            path.write_bytes(content.encode())
        else:
            path.parent.stat()  # a report makes no folders: the name may be mistyped
            write_whole(path, content.encode())
    except (OSError, RuntimeError) as error:
        if not isinstance(error, OSError) or error.errno in _WRONG_NAME:
            why = getattr(error, "strerror", None) or error
            raise Misuse(f"cannot write {name}: {why}. Name a file in a folder that exists.") from error
        raise OSError(error.errno, error.strerror, name) from error
