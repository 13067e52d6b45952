"""What comes with under48: the default model, its labels and six photos, which need no network."""

import re
from pathlib import Path

import pytest
import yaml

from model_fetch import (
    BUNDLED,
    Entry,
    NoNetwork,
    download,
    fetch,
    fetch_model,
    is_cached,
    list_catalog,
    load_catalog,
)
from tests.download_server import closed_port, serving
from tests.test_model_fetch_download import CONTENT, asset_at, mirror_folder, offered

ROOT = Path(__file__).parents[1]
CATALOG = load_catalog()
ENTRIES = [entry for entry in CATALOG.entries if all(is_cached(asset, BUNDLED) for asset in entry.files)]


@pytest.fixture(autouse=True)
def _loopback_without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_every_bundled_file_is_one_of_the_catalogue_with_its_digest() -> None:
    files = {path.relative_to(BUNDLED).as_posix() for path in BUNDLED.rglob("*") if path.is_file()}
    assert files == {str(asset.location) for entry in ENTRIES for asset in entry.files}
    assert sum(asset.bytes for entry in ENTRIES for asset in entry.files) < 6_000_000


def test_the_default_model_its_labels_and_the_photo_of_the_guide_are_bundled() -> None:
    model = CATALOG.model(yaml.safe_load((ROOT / "invoke.yaml").read_text())["model"])
    assert {model.name, model.labels, "panda.jpg"} <= {entry.name for entry in ENTRIES}
    assert len([entry for entry in ENTRIES if entry in CATALOG.samples]) == 6


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_what_is_bundled_may_be_passed_on_and_the_notice_names_its_author(entry: Entry) -> None:
    (licence,) = {asset.licence for asset in entry.files}
    # The licence, then who is named with it: "CC-BY-2.0, jayhem", "Apache-2.0 (google-coral/test_data)".
    match = re.match(r"(Apache-2\.0|CC-BY-\d\.0|CC0-1\.0)(?:, | \()([\w -]*\w)", licence)
    assert match, licence
    (line,) = (line for line in (ROOT / "NOTICE").read_text().splitlines() if entry.name in line.split())
    assert match[1] in line
    assert match[2] in line


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_bundled_entry_is_fetched_without_mirror_and_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: Entry
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
    fetch_model(entry, cache=tmp_path)
    assert all(is_cached(asset, tmp_path) for asset in entry.files)


def test_the_list_tells_what_is_bundled(tmp_path: Path) -> None:
    rows = list_catalog(CATALOG, tmp_path)
    assert [row.name for row in rows if row.bundled] == [entry.name for entry in ENTRIES]


def test_mirrors_come_before_the_bundled_file_and_that_before_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with offered() as (asset, server):
        bundled = mirror_folder(tmp_path / "bundled", asset, CONTENT)
        monkeypatch.setattr(download, "BUNDLED", Path(bundled))
        fetch(asset, cache=tmp_path / "1", mirrors=["/no/such/folder"])
        assert server.requests == []
        with serving({f"/{asset.location}": CONTENT}) as mirror:
            fetch(asset, cache=tmp_path / "2", mirrors=[mirror.url])
            assert len(mirror.requests) == 1


@pytest.mark.parametrize("damaged", [b"x" * len(CONTENT), CONTENT[:-1], CONTENT + b"x", b""])
def test_a_damaged_bundled_file_is_passed_over_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: bytes
) -> None:
    warnings: list[str] = []
    with offered() as (asset, server):
        bundled = mirror_folder(tmp_path / "bundled", asset, damaged)
        monkeypatch.setattr(download, "BUNDLED", Path(bundled))
        assert fetch(asset, cache=tmp_path / "c", warn=warnings.append).read_bytes() == CONTENT
        assert len(server.requests) == 1
    (line,) = warnings
    assert line.startswith(f"passed over: {bundled}/")
    assert line.endswith(": replace it")


def test_that_a_file_is_not_bundled_is_said_of_no_mirror(tmp_path: Path) -> None:
    asset = asset_at(f"http://127.0.0.1:{closed_port()}/file.bin")
    with pytest.raises(NoNetwork) as raised:
        fetch(asset, cache=tmp_path)
    assert str(BUNDLED) not in str(raised.value)
    assert "use a mirror: --mirror, UNDER48_MIRRORS, or `mirrors` in invoke.yaml" in str(raised.value)
