import contextlib
import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from model_fetch import (
    Asset,
    CacheUnwritable,
    DiskFull,
    DownloadFailed,
    ModelFetchError,
    NoNetwork,
    NotFound,
    RetryPolicy,
    WrongDigest,
    WrongSize,
    fetch,
)
from tests.download_server import (
    Answer,
    Exchange,
    Server,
    broken_after,
    changed,
    closed_port,
    endless,
    ignoring_range,
    piece_from_elsewhere,
    serving,
    slow,
    stalled_after,
    status,
    undeclared,
    whole,
)
from tests.foreground import foreground

CONTENT = random.Random(48).randbytes(300_000)
HALF = 150_000
IMPORTS = "from pathlib import Path; from model_fetch import *"
QUICK = RetryPolicy(attempts=4, first_delay=0.01, longest_delay=0.02, connect_timeout=2, read_timeout=0.3)


@pytest.fixture(autouse=True)
def _loopback_without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def asset_at(url: str, content: bytes = CONTENT) -> Asset:
    return Asset(
        url=url, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content), licence="none: a test"
    )


@contextlib.contextmanager
def offered(*answers: Answer) -> Iterator[tuple[Asset, Server]]:
    with serving({"/some/file.bin": CONTENT}, answers or (whole,)) as server:
        yield asset_at(f"{server.url}/some/file.bin"), server


def part_of(asset: Asset, cache: Path) -> Path:
    return cache / f"{asset.location}.part"


def leave_part(asset: Asset, cache: Path, content: bytes) -> None:
    part = part_of(asset, cache)
    part.parent.mkdir(parents=True)
    part.write_bytes(content)


def files_in(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.rglob("*") if path.is_file())


def start(asset: Asset, cache: Path, setup: str = "") -> subprocess.Popen[str]:
    """Fetch in a process of its own, with the usual timeouts."""
    code = f"{IMPORTS}; {setup}\nfetch({asset!r}, cache=Path({str(cache)!r}))"
    return subprocess.Popen(foreground(sys.executable, "-c", code), stderr=subprocess.PIPE, text=True)


def wait_for_half(asset: Asset, cache: Path) -> None:
    deadline = time.monotonic() + 10
    part = part_of(asset, cache)
    while not part.exists() or part.stat().st_size < HALF:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_file_lands_under_its_host_and_path_and_is_not_fetched_again(tmp_path: Path) -> None:
    with offered() as (asset, server):
        path = fetch(asset, cache=tmp_path / "new" / "cache")
        assert path == tmp_path / "new" / "cache" / server.url.removeprefix("http://") / "some" / "file.bin"
        assert path.read_bytes() == CONTENT
        assert fetch(asset, cache=tmp_path / "new" / "cache") == path
        assert server.requests == [("/some/file.bin", None)]
    assert files_in(tmp_path) == ["file.bin"]


R = f"bytes={HALF}-"


@pytest.mark.parametrize(("answers", "ranges"), [
    pytest.param([broken_after(HALF), whole], [None, R], id="connection closed early"),
    pytest.param([broken_after(HALF, reset=True), whole], [None, R], id="connection reset"),
    pytest.param([undeclared(HALF), whole], [None, R], id="short body of unknown size"),
    pytest.param([broken_after(0), whole], [None, None], id="connection closed at once"),
    pytest.param(
        [broken_after(100_000), broken_after(HALF - 100_000), whole],
        [None, "bytes=100000-", R], id="broken twice",
    ),
    pytest.param(
        [broken_after(HALF), ignoring_range], [None, R], id="Range answered with the whole",
    ),
    pytest.param(
        [broken_after(HALF), piece_from_elsewhere, whole],
        [None, R, None], id="Range answered with another range",
    ),
    pytest.param(
        [broken_after(HALF), status(416), whole], [None, R, None], id="416",
    ),
    pytest.param([changed(broken_after(HALF)), whole], [None, R, None], id="the file changed in between"),
    pytest.param([status(500), whole], [None, None], id="500, then well"),
    pytest.param([status(503), status(502), whole], [None] * 3, id="503, 502"),
    pytest.param([status(408), whole], [None, None], id="408, then well"),
    pytest.param([status(429, Retry_After=0), whole], [None, None], id="429, then well"),
    pytest.param([undeclared(300_000)], [None], id="right body of unknown size"),
    pytest.param([slow(0.04)], [None], id="slow, but never silent for long"),
    pytest.param([status(302, Location="/some/file.bin"), whole], [None] * 2, id="redirect"),
])  # fmt: skip
def test_a_download_survives(tmp_path: Path, answers: Sequence[Answer], ranges: list[str | None]) -> None:
    with offered(*answers) as (asset, server):
        assert fetch(asset, cache=tmp_path, policy=QUICK).read_bytes() == CONTENT
        assert server.ranges == ranges
    assert files_in(tmp_path) == ["file.bin"]


def test_a_download_survives_a_stall(tmp_path: Path) -> None:
    released = threading.Event()
    with offered(stalled_after(HALF, released), whole) as (asset, server):
        assert fetch(asset, cache=tmp_path, policy=QUICK).read_bytes() == CONTENT
        released.set()
        assert server.ranges == [None, R]


@pytest.mark.parametrize(("answer", "requests", "error", "text"), [
    pytest.param(status(404), 1, NotFound, "is not there (HTTP 404)", id="404"),
    pytest.param(status(403), 1, DownloadFailed, "HTTP 403 Forbidden", id="403"),
    pytest.param(changed(whole), 1, WrongDigest, "is not the file of the catalogue", id="wrong digest"),
    pytest.param(undeclared(300_001), 1, WrongSize, "goes on after the 300000 bytes", id="too long"),
    pytest.param(endless, 1, WrongSize, "goes on after the 300000 bytes", id="endless"),
    pytest.param(status(500), 4, DownloadFailed, "failed 4 times, at last: HTTP 500", id="500"),
    pytest.param(
        status(429, Retry_After=3600), 1, DownloadFailed, "a pause of 3600 s", id="429 for an hour",
    ),
    pytest.param(
        broken_after(0), 4, DownloadFailed, "failed 4 times, at last: the", id="never a byte",
    ),
    pytest.param(
        undeclared(1000), 4, DownloadFailed, "ended after 1000 of 300000 bytes", id="always short",
    ),
    pytest.param(
        status(302, Location="/some/file.bin"), 31, DownloadFailed, "redirects", id="redirect in a ring",
    ),
])  # fmt: skip
def test_a_download_fails_with_an_error_of_its_own(
    tmp_path: Path, answer: Answer, requests: int, error: type[ModelFetchError], text: str
) -> None:
    with offered(answer) as (asset, server), pytest.raises(error) as raised:
        fetch(asset, cache=tmp_path, policy=QUICK)
    assert type(raised.value) is error
    assert text in str(raised.value)
    assert len(server.requests) == requests
    assert "file.bin" not in files_in(tmp_path)


@pytest.mark.parametrize("size", [299_999, 300_001])
def test_a_body_of_another_announced_size_is_not_even_read(tmp_path: Path, size: int) -> None:
    def answer(http: Exchange) -> None:
        http.content = CONTENT[:1] * size
        whole(http)

    with offered(answer) as (asset, _), pytest.raises(WrongSize, match=f"has {size} bytes"):
        fetch(asset, cache=tmp_path, policy=QUICK)
    assert files_in(tmp_path) == []


def test_an_unreachable_server_fails_at_once(tmp_path: Path) -> None:
    asset = asset_at(f"http://127.0.0.1:{closed_port()}/file.bin")
    begin = time.monotonic()
    with pytest.raises(NoNetwork, match=r"cannot be reached .*refused.*mirror"):
        fetch(asset, cache=tmp_path)  # with the real delays
    assert time.monotonic() - begin < 5  # its five attempts would take 15 s
    assert files_in(tmp_path) == []


def test_an_unknown_host_is_no_network(tmp_path: Path) -> None:
    with pytest.raises(NoNetwork, match=r"nowhere\.invalid cannot be reached"):
        fetch(asset_at("https://nowhere.invalid/file.bin"), cache=tmp_path)


def test_a_connection_that_nobody_answers_is_no_network_and_not_tried_again(tmp_path: Path) -> None:
    with contextlib.ExitStack() as opened:
        full = opened.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(2):  # fill what waits to be accepted: from then on Linux drops, as a firewall does
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        asset = asset_at(f"http://127.0.0.1:{full.getsockname()[1]}/file.bin")
        begin = time.monotonic()
        with pytest.raises(NoNetwork, match=r"cannot be reached \(no answer\).*UNDER48_MIRRORS"):
            fetch(asset, cache=tmp_path, policy=RetryPolicy(connect_timeout=0.3))
        assert time.monotonic() - begin < 2


def test_an_untrusted_server_is_named_with_what_to_set(tmp_path: Path) -> None:
    with offered() as (asset, _), pytest.raises(DownloadFailed, match="REQUESTS_CA_BUNDLE"):
        fetch(asset_at(asset.url.replace("http:", "https:")), cache=tmp_path, policy=QUICK)


def test_retry_after_is_waited_for(tmp_path: Path) -> None:
    with offered(status(429, Retry_After=1), whole) as (asset, _):
        begin = time.monotonic()
        fetch(asset, cache=tmp_path, policy=QUICK)
        assert time.monotonic() - begin >= 1


@pytest.mark.parametrize(("left", "ranges"), [
    pytest.param(CONTENT[:HALF], [R], id="its beginning"),
    pytest.param(CONTENT, [], id="all of it"),
    pytest.param(b"", [None], id="nothing"),
    pytest.param(b"x" * HALF, [R, None], id="the beginning of another file"),
    pytest.param(b"x" * len(CONTENT), [None], id="another file of this size"),
    pytest.param(CONTENT + b"x", [None], id="more than the file"),
])  # fmt: skip
def test_a_part_left_by_an_earlier_run_is_used_if_it_fits(
    tmp_path: Path, left: bytes, ranges: list[str | None]
) -> None:
    with offered() as (asset, server):
        leave_part(asset, tmp_path, left)
        assert fetch(asset, cache=tmp_path, policy=QUICK).read_bytes() == CONTENT
        assert server.ranges == ranges
    assert files_in(tmp_path) == ["file.bin"]


def test_mirrors_that_lack_the_file_do_not_cost_the_part(tmp_path: Path) -> None:
    with offered() as (asset, server), serving({}) as without:
        leave_part(asset, tmp_path, CONTENT[:HALF])
        mirrors = [str(tmp_path / "missing"), without.url, f"http://127.0.0.1:{closed_port()}"]
        assert fetch(asset, cache=tmp_path, mirrors=mirrors).read_bytes() == CONTENT
        assert server.ranges == [R]


def test_a_wrong_file_leaves_no_part_to_go_on_from(tmp_path: Path) -> None:
    with offered(changed(whole), whole) as (asset, server):
        with pytest.raises(WrongDigest):
            fetch(asset, cache=tmp_path, policy=QUICK)
        assert files_in(tmp_path) == []
        fetch(asset, cache=tmp_path, policy=QUICK)
        assert server.ranges == [None, None]


@pytest.mark.parametrize("damaged", [b"x" * len(CONTENT), CONTENT[:-1], b""])
def test_a_damaged_file_in_the_cache_is_fetched_again(tmp_path: Path, damaged: bytes) -> None:
    with offered() as (asset, server):
        path = fetch(asset, cache=tmp_path)
        path.write_bytes(damaged)
        assert fetch(asset, cache=tmp_path).read_bytes() == CONTENT
        assert len(server.requests) == 2


def test_progress_counts_up_to_the_size_and_is_silent_for_a_cached_file(tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    with offered(broken_after(HALF), whole) as (asset, _):
        fetch(asset, cache=tmp_path, policy=QUICK, progress=lambda *step: told.append(step))
        assert {(what, total) for what, _, total in told} == {("file.bin", 300_000)}
        sizes = [size for _, size, _ in told]
        assert sizes == sorted(sizes)
        assert HALF in sizes
        assert sizes[-1] == 300_000
        told.clear()
        fetch(asset, cache=tmp_path, progress=lambda *step: told.append(step))
        assert told == []


def mirror_folder(root: Path, asset: Asset, content: bytes) -> str:
    path = root / asset.location
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return str(root)


def test_mirrors_are_tried_in_their_order_and_missing_ones_passed_over_in_silence(tmp_path: Path) -> None:
    asset = asset_at("https://nowhere.invalid/some/file.bin")
    in_the_way = tmp_path / "file"
    in_the_way.write_text("no folder")
    (tmp_path / "empty").mkdir()
    warnings: list[str] = []
    with (
        serving({}) as without,
        serving({"/root/nowhere.invalid/some/file.bin": CONTENT}) as holding,
        serving({"/nowhere.invalid/some/file.bin": CONTENT}) as later,
    ):
        mirrors = [
            str(tmp_path / "missing"),
            str(in_the_way),
            str(tmp_path / "empty"),
            f"http://127.0.0.1:{closed_port()}",
            without.url,
            f"{holding.url}/root/",
            later.url,
        ]
        path = fetch(asset, cache=tmp_path / "c", mirrors=mirrors, warn=warnings.append)
        assert path.read_bytes() == CONTENT
        assert path == tmp_path / "c" / "nowhere.invalid" / "some" / "file.bin"
        assert [len(server.requests) for server in (without, holding, later)] == [1, 1, 0]
    assert warnings == []


def test_a_folder_is_a_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asset = asset_at("https://nowhere.invalid/some/file.bin")
    mirror_folder(tmp_path / "m", asset, CONTENT)
    monkeypatch.chdir(tmp_path)
    told: list[int] = []
    path = fetch(
        asset, cache=tmp_path / "c", mirrors=["m"], progress=lambda _what, done, _total: told.append(done)
    )
    assert path.read_bytes() == CONTENT
    assert told[-1] == len(CONTENT)


@pytest.mark.parametrize("form", ["file://{}", "FILE://localhost{}", "file://{}/"])
def test_a_folder_given_as_a_url_is_a_mirror(tmp_path: Path, form: str) -> None:
    asset = asset_at("https://nowhere.invalid/some/file.bin")
    mirror_folder(tmp_path / "m #1", asset, CONTENT)
    mirror = form.format(str(tmp_path / "m #1").replace(" ", "%20"))
    assert fetch(asset, cache=tmp_path / "c", mirrors=[mirror]).read_bytes() == CONTENT


@pytest.mark.parametrize("mirror", ["ftp://u:secret@host/m", "file://u:secret@host/m", "s3://bucket"])
def test_a_url_that_can_be_no_mirror_is_passed_over_with_a_warning(tmp_path: Path, mirror: str) -> None:
    warnings: list[str] = []
    with offered() as (asset, _):
        fetch(asset, cache=tmp_path, mirrors=[mirror], warn=warnings.append)
    (line,) = warnings
    assert "is no mirror: give a folder" in line
    assert "secret" not in line


@pytest.mark.parametrize("answers", [[status(403)], [status(404)], [status(500)], [changed(whole)], None])
def test_a_password_in_a_mirrors_url_is_sent_and_never_shown(
    tmp_path: Path, answers: list[Answer] | None
) -> None:
    asset = asset_at(f"http://127.0.0.1:{closed_port()}/file.bin")
    said: list[str] = []
    with serving({f"/{asset.location}": CONTENT}, answers or [whole]) as server:
        mirror = server.url if answers else f"http://127.0.0.1:{closed_port()}"
        mirror = mirror.replace("://", "://me:secret@")
        with pytest.raises(ModelFetchError) as raised:
            fetch(asset, cache=tmp_path, mirrors=[mirror], warn=said.append, policy=QUICK)
        assert len(server.requests) >= (1 if answers else 0)
    said.append(str(raised.value))
    assert "Tried before that: " in said[-1]
    assert not [line for line in said if "secret" in line or "me:" in line]


@pytest.mark.parametrize("wrong", [b"x" * len(CONTENT), CONTENT[:-1], CONTENT + b"x"])
def test_a_mirror_with_a_wrong_file_is_passed_over_with_a_warning(tmp_path: Path, wrong: bytes) -> None:
    warnings: list[str] = []
    with offered() as (asset, server):
        mirror = mirror_folder(tmp_path / "m", asset, wrong)
        path = fetch(asset, cache=tmp_path / "c", mirrors=[mirror], warn=warnings.append)
        assert path.read_bytes() == CONTENT
        assert server.ranges == [None]
    (line,) = warnings
    assert str(tmp_path / "m" / asset.location) in line
    assert line.endswith(": replace it")


def test_what_became_of_the_mirrors_stands_in_the_final_error(tmp_path: Path) -> None:
    asset = asset_at(f"http://127.0.0.1:{closed_port()}/file.bin")
    with serving({f"/{asset.location}": CONTENT}, [status(403)]) as mirror:
        with pytest.raises(NoNetwork, match=r"cannot be reached") as raised:
            fetch(asset, cache=tmp_path, mirrors=["/no/such/folder", mirror.url])
        assert "Tried before that: /no/such/folder does not have it; " in str(raised.value)
        assert f"{mirror.url}/{asset.location}" in str(raised.value)
        assert "403" in str(raised.value)


def test_a_part_begun_at_one_mirror_is_finished_at_the_next_source(tmp_path: Path) -> None:
    once = RetryPolicy(attempts=1)
    with offered() as (asset, server):
        files = {f"/{asset.location}": CONTENT}
        with serving(files, [broken_after(HALF)]) as mirror:
            fetch(asset, cache=tmp_path, mirrors=[mirror.url], policy=once)
        assert server.ranges == [R]


def test_two_processes_download_a_file_once(tmp_path: Path) -> None:
    with offered(slow(0.1)) as (asset, server):
        processes = [start(asset, tmp_path) for _ in range(3)]
        assert [process.communicate(timeout=30)[1] for process in processes] == [""] * 3
        assert [process.returncode for process in processes] == [0] * 3
        assert len(server.requests) == 1
    assert files_in(tmp_path) == ["file.bin"]


def test_a_process_that_waited_goes_on_from_the_part_of_one_that_was_killed(tmp_path: Path) -> None:
    released = threading.Event()
    with offered(stalled_after(HALF, released), whole) as (asset, server):
        first = start(asset, tmp_path)
        wait_for_half(asset, tmp_path)
        second = start(asset, tmp_path)
        time.sleep(0.5)
        assert second.poll() is None
        assert server.ranges == [None]
        first.kill()
        assert (second.communicate(timeout=30)[1], second.returncode) == ("", 0)
        first.communicate()
        released.set()
        assert server.ranges == [None, R]


def test_ctrl_c_leaves_a_part_that_the_next_run_goes_on_from(tmp_path: Path) -> None:
    released = threading.Event()
    with offered(stalled_after(HALF, released), whole) as (asset, server):
        process = start(asset, tmp_path)
        wait_for_half(asset, tmp_path)
        process.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in process.communicate(timeout=10)[1]
        released.set()
        assert part_of(asset, tmp_path).read_bytes() == CONTENT[:HALF]
        assert fetch(asset, cache=tmp_path).read_bytes() == CONTENT
        assert server.ranges == [None, R]


def test_a_file_size_limit_is_a_full_disk_and_what_came_is_kept(tmp_path: Path) -> None:
    with offered() as (asset, server):
        limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({HALF}, {HALF}))"
        process = start(asset, tmp_path, limit)
        _, trouble = process.communicate(timeout=30)
        assert "DiskFull" in trouble
        assert "no room left (File too large)" in trouble
        assert part_of(asset, tmp_path).read_bytes() == CONTENT[:HALF]
        fetch(asset, cache=tmp_path)
        assert server.ranges == [None, R]


def can_mount() -> bool:
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "-o", "size=64k", "none", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(
    not can_mount(), reason="no file system may be mounted here, not even in a namespace of its own"
)
@pytest.mark.parametrize(("options", "error", "text"), [
    ("size=64k", DiskFull, "no room left (No space left on device)"),
    ("ro", CacheUnwritable, "the cache cannot be used there (Read-only file system)"),
])  # fmt: skip
def test_a_full_or_read_only_file_system_is_named(
    tmp_path: Path, options: str, error: type[ModelFetchError], text: str
) -> None:
    with offered() as (asset, _):
        code = f"{IMPORTS}\nfetch({asset!r}, cache=Path({str(tmp_path)!r}))"
        script = 'mount -t tmpfs -o "$1" none "$2" && exec "$3" -c "$4"'
        command = ["unshare", "-rm", "sh", "-c", script, "sh", options, str(tmp_path), sys.executable, code]
        trouble = subprocess.run(command, capture_output=True, check=False, text=True).stderr
    assert f"model_fetch.errors.{error.__name__}: " in trouble
    assert text in trouble


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Root may write anywhere: step down while the test runs."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_an_unwritable_cache_is_named_unless_it_has_the_file(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    with offered() as (asset, server):
        with (
            as_nobody(),
            pytest.raises(CacheUnwritable, match=r"Permission denied.*another cache folder"),
        ):
            fetch(asset, cache=tmp_path / "cache")
        assert server.requests == []
        fetch(asset, cache=tmp_path / "cache")
        with as_nobody():
            assert fetch(asset, cache=tmp_path / "cache").read_bytes() == CONTENT


def test_a_file_where_the_cache_folder_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(CacheUnwritable):
        fetch(asset_at("https://nowhere.invalid/file.bin"), cache=tmp_path / "cache")


def test_a_part_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with offered() as (asset, _):
        part_of(asset, tmp_path).parent.mkdir(parents=True)
        part_of(asset, tmp_path).symlink_to(tmp_path / "mine")
        with pytest.raises(CacheUnwritable):
            fetch(asset, cache=tmp_path)
    assert (tmp_path / "mine").read_text() == "precious"
