"""Starts the real runtime on a loopback port, for the tests that talk to it as the platform does."""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

SENTINEL = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"
FOLDER = Path(__file__).parent.parent / "images" / "runtime"


class RuntimeProcess:
    """One container's server without the container: its process, its port, its two logs."""

    def __init__(
        self, folder: Path, built_in: Path | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        """Start with logs and unpacked code in `folder`; `built_in` is a folder with an action, if any."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._logs = [folder / "stdout", folder / "stderr"]
        settings = {
            "UNDER48_HOST": "127.0.0.1",
            "UNDER48_PORT": str(self.port),
            "UNDER48_ACTION": str(built_in or folder / "none"),
            "TMPDIR": str(folder),
        }
        with self._logs[0].open("wb") as out, self._logs[1].open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, str(FOLDER)],
                env={**os.environ, **settings, **(env or {})},
                stdin=subprocess.PIPE,  # stays open: an action that reads it must not wait for us
                stdout=out,
                stderr=err,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()

    def connect(self) -> socket.socket:
        """Connect, retrying while the port is refused, as the platform does."""
        for _ in range(500):
            try:
                return socket.create_connection(("127.0.0.1", self.port), timeout=10)
            except ConnectionRefusedError:
                time.sleep(0.01)
        raise AssertionError("the runtime does not listen")

    def send(self, path: str, body: bytes | str, method: str = "POST") -> tuple[int, Any]:
        """Send one request on a connection of its own; give status and parsed body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.sock = self.connect()
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        assert response.getheader("Content-Length") is not None
        content = json.loads(response.read())
        connection.close()
        return response.status, content

    def init(self, code: str | bytes | None, main: str = "main", env: object = None) -> tuple[int, Any]:
        """Send /init as the platform's own tests do; bytes are sent as base64."""
        binary = isinstance(code, bytes)
        text = base64.b64encode(code).decode() if isinstance(code, bytes) else code
        value = {"name": "test", "main": main, "binary": binary, "code": text, "env": env}
        return self.send("/init", json.dumps({"value": value}))

    def run(self, value: object, **context: object) -> tuple[int, Any]:
        """Send /run with a value and context."""
        return self.send("/run", json.dumps({"value": value, **context}))

    def logs(self) -> tuple[str, str]:
        """Give stdout and stderr as they are now."""
        out, err = (log.read_text() for log in self._logs)
        return out, err

    def lines(self, sentinels: int) -> tuple[str, str]:
        """Give both logs without sentinels and blank ends, after counting the sentinels on each."""
        texts = self.logs()
        assert [text.splitlines().count(SENTINEL) for text in texts] == [sentinels, sentinels]
        assert [text.count(SENTINEL) for text in texts] == [sentinels, sentinels]
        out, err = (text.replace(SENTINEL, "").strip() for text in texts)
        return out, err

    def terminate(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and give the exit status."""
        self.process.send_signal(number)
        return self.process.wait(timeout=5)


def make_zip(files: Mapping[str, str | bytes]) -> bytes:
    """Make a zip of names and contents."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()
