"""What tests and benchmarks get of the catalogue where not everything can be had."""

import hashlib
from pathlib import Path

import pytest

from cli.supply import Supply
from model_fetch import Asset, Sample, WrongDigest
from tests.download_server import closed_port, serving, status

CONTENT = b"a photo"


@pytest.fixture(autouse=True)
def _loopback_without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def sample_at(url: str, content: bytes = CONTENT) -> Sample:
    digest = hashlib.sha256(content).hexdigest()
    asset = Asset(url=url, sha256=digest, bytes=len(content), licence="none: a test")
    return Sample(name=asset.name, asset=asset, accepted=())


def test_what_can_be_fetched_is_found(tmp_path: Path) -> None:
    with serving({"/a.jpg": CONTENT}) as server:
        (file,) = Supply(cache=tmp_path, mirrors=()).find(sample_at(f"{server.url}/a.jpg")) or ()
        assert file.read_bytes() == CONTENT


def test_a_host_that_cannot_be_reached_leaves_out_its_files_but_those_of_a_mirror(tmp_path: Path) -> None:
    host = f"127.0.0.1:{closed_port()}"
    mirrored = tmp_path / "mirror" / host / "b.jpg"
    mirrored.parent.mkdir(parents=True)
    mirrored.write_bytes(CONTENT)
    supply = Supply(cache=tmp_path / "cache", mirrors=(str(tmp_path / "mirror"),))
    found = [supply.find(sample_at(f"http://{host}/{name}.jpg")) for name in "abc"]
    assert [files is not None for files in found] == [False, True, False]
    assert supply.given_up == {host}


def test_a_host_that_does_not_deliver_is_waited_for_once(tmp_path: Path) -> None:
    names = [f"/{number}.jpg" for number in range(20)]
    with serving(dict.fromkeys(names, CONTENT), [status(403)]) as server:
        supply = Supply(cache=tmp_path, mirrors=())
        assert [supply.find(sample_at(server.url + name)) for name in names] == [None] * len(names)
        assert len(server.requests) == 1


def test_a_file_that_is_not_the_catalogues_is_an_error_and_no_reason_to_go_without(tmp_path: Path) -> None:
    with serving({"/a.jpg": b"another"}) as server, pytest.raises(WrongDigest):
        Supply(cache=tmp_path, mirrors=()).find(sample_at(f"{server.url}/a.jpg"))
