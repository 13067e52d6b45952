"""Follows a container's stdout and stderr as they grow, and hands out each activation's part of them."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import requests
import urllib3
from docker.errors import DockerException
from docker.models.containers import Container

from images.activation import LogPart, read_log

_BROKEN = (DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)


class FollowedLogs:
    """The streams of one container from its beginning; reading them again and again would cost more each time."""

    def __init__(self, container: Container) -> None:
        """Begin to follow; the threads end with the container."""
        self._changed = threading.Condition()
        self._unread = {"stdout": b"", "stderr": b""}
        self._open = set(self._unread)
        self._at = time.monotonic()  # of the last byte
        for name in self._unread:
            threading.Thread(target=self._follow, args=(container, name), daemon=True).start()

    def take(self, *, idle_seconds: float) -> tuple[LogPart, LogPart]:
        """What stdout and stderr hold of the activation that has just ended; the rest is the next one's.

        The engine passes a line on a moment after the server wrote it, so the sentinels are waited for, until
        nothing has come for `idle_seconds` or the container has ended.
        """
        with self._changed:
            began = time.monotonic()
            while True:
                stdout, stderr = (read_log(unread) for unread in self._unread.values())
                idle = time.monotonic() - max(began, self._at)
                if (stdout.complete and stderr.complete) or not self._open or idle >= idle_seconds:
                    break
                self._changed.wait(idle_seconds - idle)
            self._unread = {
                "stdout": self._unread["stdout"][stdout.end :],
                "stderr": self._unread["stderr"][stderr.end :],
            }
            return stdout, stderr

    def _follow(self, container: Container, name: str) -> None:
        with suppress(*_BROKEN):  # the container, or the engine, has gone
            for chunk in _chunks(container, name):
                with self._changed:
                    self._unread[name] += chunk
                    self._at = time.monotonic()
                    self._changed.notify_all()
        with self._changed:
            self._open.discard(name)
            self._changed.notify_all()


def _chunks(container: Container, name: str) -> Iterator[bytes]:
    yield from container.logs(stdout=name == "stdout", stderr=name == "stderr", stream=True, follow=True)
