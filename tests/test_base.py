import signal
import subprocess
import sys
from pathlib import Path

import pytest

from images.architecture import named
from images.base import bootstrap, ensure
from images.base.ensure import Base
from images.base.sources import Source, _keyring, _source

MAIN = {
    "REPO_URI": "http://mirror.invalid/debian/",
    "CODENAME": "bookworm",
    "ORIGIN": "Debian",
    "LABEL": "Debian",
    "COMPONENT": "main",
    "CREATED_BY": "Packages",
    "SOURCESENTRY": "/nonexistent:1",
}
SECURITY = MAIN | {"CODENAME": "bookworm-security", "LABEL": "Debian-Security"}


@pytest.mark.parametrize(
    ("target", "suite"),
    [
        (MAIN, "bookworm"),
        (MAIN | {"CODENAME": "bookworm-updates"}, "bookworm-updates"),
        (SECURITY, "bookworm-security"),
        (MAIN | {"CODENAME": "trixie"}, "bookworm"),  # the mirror of another release serves bookworm too
        (SECURITY | {"CODENAME": "trixie-security"}, "bookworm-security"),
        (MAIN | {"CODENAME": "sid"}, "bookworm"),
        (MAIN | {"CODENAME": "bookworm-backports", "LABEL": "Debian Backports"}, None),
        (MAIN | {"CODENAME": "bookworm-proposed"}, None),
        (MAIN | {"COMPONENT": "non-free"}, None),
        (MAIN | {"CREATED_BY": "Translations"}, None),
        (MAIN | {"ORIGIN": "Ubuntu", "LABEL": "Ubuntu", "CODENAME": "jammy"}, None),
        (MAIN | {"ORIGIN": "Third Party"}, None),  # however its suite is called
        (MAIN | {"ORIGIN": "$(ORIGIN)"}, None),  # what apt prints while it has no Release file
        (MAIN | {"REPO_URI": "file:/srv/debian/"}, None),  # not there inside the base
    ],
)
def test_of_this_machines_archives_debians_own_are_taken(target: dict[str, str], suite: str | None) -> None:
    source = _source(target)
    assert (source.suite if source else None) == suite
    if source:
        assert source.line == f"deb http://mirror.invalid/debian {suite} main"


DEB822 = """Types: deb
URIs: http://one.invalid/debian
Suites: bookworm
Signed-By: /usr/share/keyrings/one.gpg

# between the stanzas
Types: deb
URIs: http://two.invalid/debian
Suites: bookworm
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----

Types: deb
Signed-By: /etc/apt/three.asc,/etc/apt/four.asc
"""
ONE_LINE = """# comment
deb http://one.invalid/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/two.gpg] http://two.invalid/debian bookworm main
"""


@pytest.mark.parametrize(
    ("name", "text", "number", "keyring"),
    [
        ("debian.sources", DEB822, 1, "/usr/share/keyrings/one.gpg"),
        ("debian.sources", DEB822, 2, ""),  # a key in the text
        ("debian.sources", DEB822, 3, "/etc/apt/three.asc"),
        ("debian.sources", DEB822, 9, ""),
        ("sources.list", ONE_LINE, 2, ""),
        ("sources.list", ONE_LINE, 3, "/usr/share/keyrings/two.gpg"),
    ],
)
def test_the_keyring_is_the_one_that_apts_entry_names(
    name: str, text: str, number: int, keyring: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    assert _keyring(f"{tmp_path / name}:{number}") == keyring


def test_a_source_with_a_keyring_says_so() -> None:
    source = Source(uri="https://m.invalid/debian", suite="bookworm", signed_by="/k.gpg")
    assert source.line == "deb [signed-by=/k.gpg] https://m.invalid/debian bookworm main"


def test_the_base_is_made_from_the_sources_given_and_from_the_defaults_without() -> None:
    http = Source(uri="http://m.invalid/debian", suite="bookworm", signed_by=bootstrap.DEBIAN_KEYRING)
    https = Source(uri="https://m.invalid/debian", suite="bookworm", signed_by="/etc/own.gpg")
    plain = bootstrap.command(named("amd64"), [http])
    assert plain[-3:] == ["bookworm", "-", http.line]
    assert "--include=usr-is-merged" in plain
    assert not any(word.startswith("--customize-hook") for word in plain)
    secure = bootstrap.command(named("arm64"), [https])
    assert "--architectures=arm64" in secure
    assert "--include=usr-is-merged,ca-certificates" in secure  # or its own apt could not use that mirror
    assert "--customize-hook=upload /etc/own.gpg /etc/own.gpg" in secure
    assert bootstrap.command(named("amd64"), [])[-2:] == ["bookworm", "-"]


def test_a_record_is_of_one_request_and_broken_ones_count_as_none(tmp_path: Path) -> None:
    record = tmp_path / "deep" / "base.json"
    base = Base(image_id="sha256:1", reference="debian:x", digest="debian@sha256:2", how="pulled")
    assert ensure._read(record, None) is None
    ensure._write(record, None, base)
    assert ensure._read(record, None) == base
    assert ensure._read(record, "other:image") is None
    ensure._write(record, "other:image", base)
    assert ensure._read(record, "other:image") == base
    for broken in ("", "{", "[]", "{}", '{"asked": "", "base": {}}', '{"asked": "", "base": {"new": 1}}'):
        record.write_text(broken)
        assert ensure._read(record, None) is None
    assert [path.name for path in record.parent.iterdir()] == ["base.json"]


def _forbidden(_process: object) -> None:
    raise PermissionError("not your process")


@pytest.mark.parametrize(
    ("deaf", "forbidden"),
    [
        pytest.param(False, False, id="it ends"),
        pytest.param(True, False, id="it does not end"),
        pytest.param(False, True, id="it is root's, behind sudo"),
        pytest.param(True, True, id="both"),
    ],
)
def test_an_interrupt_stays_one_whatever_becomes_of_mmdebstrap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, deaf: bool, forbidden: bool
) -> None:
    monkeypatch.setattr(bootstrap, "_STOP_SECONDS", 0.3 if deaf else 30)
    if forbidden:
        monkeypatch.setattr(subprocess.Popen, "terminate", _forbidden)
    setup = f"import signal; signal.signal(15, signal.{'SIG_IGN' if deaf else 'SIG_DFL'})"
    argv = [
        sys.executable,
        "-c",
        f"{setup}; import sys, time; print('up', file=sys.stderr, flush=True); time.sleep(60)",
    ]
    processes: list[subprocess.Popen[str]] = []

    def interrupted() -> None:
        with (tmp_path / "out").open("wb") as out, bootstrap._running(argv, out) as process:
            processes.append(process)
            assert process.stderr is not None
            process.stderr.readline()
            raise KeyboardInterrupt

    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert processes[0].poll() == (None if deaf else -signal.SIGTERM)
    finally:
        for left in processes:
            left.kill()
            left.wait()
