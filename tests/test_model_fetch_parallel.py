import hashlib
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from model_fetch import Asset, Model, NotFound, RetryPolicy, fetch_model
from tests.download_server import Server, serving, slow, stalled_after, whole
from tests.foreground import foreground

FILES = {f"/model/shard{n}": bytes([n]) * (1000 + n) for n in range(12)}


@pytest.fixture(autouse=True)
def _loopback_without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def model_at(server: Server) -> Model:
    assets = tuple(
        Asset(
            url=server.url + path,
            sha256=hashlib.sha256(content).hexdigest(),
            bytes=len(content),
            licence="none: a test",
        )
        for path, content in FILES.items()
    )
    return Model(
        name="sharded",
        files=assets,
        format="tfjs",
        input_size=(224, 224),
        input_type="float32",
        input_range=(-1, 1),
        crop=0.875,
        output="probabilities",
        output_type="float32",
        labels="none",
        labels_offset=0,
    )


def test_all_files_of_a_model_arrive_in_the_catalogues_order(tmp_path: Path) -> None:
    with serving(FILES) as server:
        model = model_at(server)
        paths = fetch_model(model, cache=tmp_path)
        assert [path.read_bytes() for path in paths] == list(FILES.values())
        assert fetch_model(model, cache=tmp_path) == paths
        assert sorted(path for path, _ in server.requests) == sorted(FILES)


def test_progress_is_that_of_all_missing_files_together(tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    with serving(FILES) as server:
        model = model_at(server)
        paths = fetch_model(model, cache=tmp_path)
        for path in paths[:3]:
            path.unlink()
        fetch_model(model, cache=tmp_path, progress=lambda *step: told.append(step))
        assert {(what, total) for what, _, total in told} == {("sharded", 3003)}
        assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
        assert told[-1][1] == 3003
        told.clear()
        fetch_model(model, cache=tmp_path, progress=lambda *step: told.append(step))
        assert told == []


def test_several_files_are_fetched_at_once(tmp_path: Path) -> None:
    with serving(FILES, [slow(0.5, pieces=1)]) as server:
        begin = time.monotonic()
        fetch_model(model_at(server), cache=tmp_path)
        assert time.monotonic() - begin < 0.5 * len(FILES) * 0.8


def test_a_file_that_fails_ends_the_fetch_with_its_error(tmp_path: Path) -> None:
    path = "/model/shard5"
    others = {name: content for name, content in FILES.items() if name != path}
    with serving(others) as server, pytest.raises(NotFound, match=f"{path} is not there"):
        fetch_model(model_at(server), cache=tmp_path)


def test_the_other_files_are_given_up_when_one_fails(tmp_path: Path) -> None:
    others = {name: content for name, content in FILES.items() if name != "/model/shard0"}
    with serving(others, [slow(0.1, pieces=2)]) as server:
        with pytest.raises(NotFound):
            fetch_model(model_at(server), cache=tmp_path)
        time.sleep(0.5)
        assert len(server.requests) <= 4


def test_ctrl_c_ends_all_threads_at_once_and_leaves_parts(tmp_path: Path) -> None:
    released = threading.Event()
    with serving(FILES, [stalled_after(500, released), whole]) as server:
        model = model_at(server)
        code = (
            "from pathlib import Path; from model_fetch import *; from model_fetch.catalog import Model\n"
            f"fetch_model({model!r}, cache=Path({str(tmp_path)!r}))"
        )
        process = subprocess.Popen(foreground(sys.executable, "-c", code), stderr=subprocess.PIPE, text=True)
        stalled = list(FILES)[:4]
        deadline = time.monotonic() + 10
        while [path.stat().st_size for path in tmp_path.rglob("*.part")] != [500] * 4:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in process.communicate(timeout=20)[1]
        assert time.monotonic() - begin < 10
        released.set()
        paths = fetch_model(model, cache=tmp_path, policy=RetryPolicy(first_delay=0.01))
        assert [path.read_bytes() for path in paths] == list(FILES.values())
        assert sorted(path for path, _ in server.requests[:4]) == stalled
        assert {(path, "bytes=500-") for path in stalled} <= set(server.requests)
