"""The page: whole in itself, and nothing loaded."""

import hashlib
import re
import tomllib
from pathlib import Path

import pytest

import audit
from tests.audited import bad, page


def test_the_page_names_nothing_to_load() -> None:
    markup = re.sub(r"<script.*?</script>", "", page(), flags=re.DOTALL)
    assert re.findall(r"<[^>]*\s(?:src|href)=|@import|url\(", markup) == []
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page())
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy[1]


def test_names_from_strangers_do_not_end_the_element_they_stand_in() -> None:
    assert page().count("</script>") == 5
    assert "<b>|" not in page()
    assert "\x1b" not in page()


def test_the_page_and_its_library_are_small_and_as_recorded() -> None:
    folder = Path(audit.__file__).parent / "page"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1_000_000
    assert "Copyright 2010-2023 Mike Bostock" in (folder / "d3.LICENSE").read_text()
    for row in tomllib.loads((folder / "VENDORED.toml").read_text()).values():
        content = (folder / row["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == row["sha256"]
        assert f"v{row['version']}".encode() in content[:200]


def test_of_very_many_files_the_small_ones_are_summed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audit.html.MAX_FILES", 1)
    document = audit.as_json(*bad())
    from audit.html import _files  # noqa: PLC0415

    rows = _files(document["files"], set())
    assert rows[1][0].endswith("(many small files)")
    assert sum(row[2] for row in rows) == document["summary"]["bytes"]
    assert sum(row[3] for row in rows) == document["summary"]["compressed_bytes"]
