"""Fetches the files of one entry several at a time."""

import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import requests

from model_fetch.cache import is_cached
from model_fetch.catalog import Asset, Entry
from model_fetch.download import PATIENT, Job, Progress, Warn, fetch_in_job
from model_fetch.transfer import RetryPolicy

_THREADS = 4


def fetch_model(  # noqa: PLR0913 -- as those of fetch
    entry: Entry,
    *,
    cache: Path,
    mirrors: Sequence[str] = (),
    progress: Progress | None = None,
    warn: Warn | None = None,
    policy: RetryPolicy = PATIENT,
    given_up: set[str] | None = None,
) -> tuple[Path, ...]:
    """The paths of all files of a model (or of any other entry) in the cache, in the catalogue's order.

    Several are fetched at once. Progress is that of all missing files together, under the entry's name,
    told by one thread at a time. Raises what `fetch` raises, at the first file that fails; the others stop
    where they are. Hosts in `given_up` are not tried; one that cannot be reached or does not deliver is added.
    """
    missing = [asset for asset in entry.files if not is_cached(asset, cache)]
    stop = threading.Event()
    hosts = set() if given_up is None else given_up
    told = progress and _summed(progress, entry.name, sum(asset.bytes for asset in missing))

    def work(asset: Asset, session: requests.Session) -> None:
        job = Job(
            cache=cache,
            mirrors=mirrors,
            progress=told and (lambda _what, done, _total: told(asset, done)),
            warn=warn,
            policy=policy,
            session=session,
            given_up=hosts,
            stop=stop,
        )
        fetch_in_job(asset, job)

    _in_parallel(missing, work, stop)
    return tuple(cache / asset.location for asset in entry.files)


def _summed(progress: Progress, what: str, total: int) -> Callable[[Asset, int], None]:
    done: dict[Asset, int] = {}
    lock = threading.Lock()

    def tell(asset: Asset, size: int) -> None:
        with lock:
            done[asset] = size
            progress(what, sum(done.values()), total)

    return tell


def _in_parallel(
    assets: Sequence[Asset], work: Callable[[Asset, requests.Session], None], stop: threading.Event
) -> None:
    # No ThreadPoolExecutor: leaving it, also by Ctrl-C, waits for every thread, and one may sit in a read for
    # its whole timeout. These threads are left behind instead; their parts can be resumed at any moment.
    todo: queue.SimpleQueue[Asset] = queue.SimpleQueue()
    done: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def worker() -> None:
        with requests.Session() as session, contextlib.suppress(queue.Empty):
            while not stop.is_set():
                asset = todo.get_nowait()
                try:
                    work(asset, session)
                except BaseException as error:  # noqa: BLE001 -- raised again in the thread that waits for it
                    done.put(error)
                    stop.set()
                else:
                    done.put(None)

    for asset in assets:
        todo.put(asset)
    for _ in assets[:_THREADS]:
        threading.Thread(target=worker, daemon=True).start()
    try:
        for _ in assets:
            if error := done.get():
                raise error
    finally:
        stop.set()
