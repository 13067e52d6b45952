"""Makes the `virtualenv/` folder that users put into their zips, as they do, and zips of wheels; without network."""

import io
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tests.integration.conformance.steps import zipped
from tests.wheels import wheel

_WHEEL = {
    "agent/__init__.py": "from agent.name import NAME\n",
    "agent/name.py": "NAME = 'smith'\n",
    "agent-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: agent\nVersion: 1.0\n",
    "agent-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "agent-1.0.dist-info/RECORD": "".join(
        f"{name},,\n"
        for name in (
            "agent/__init__.py",
            "agent/name.py",
            "agent-1.0.dist-info/METADATA",
            "agent-1.0.dist-info/WHEEL",
            "agent-1.0.dist-info/RECORD",
        )
    ),
}
_MAKING = threading.Lock()  # vectors are played side by side


def in_virtualenv(files: Mapping[str, str | bytes]) -> tuple[dict[str, str | bytes], dict[str, str]]:
    """`files` beside a virtualenv/ that has the package `agent` installed: contents and symbolic links by name.

    Without pip in it, which nobody needs there and which would be 12 MB.
    """
    with _MAKING:
        made, links = _virtualenv()
    return {**files, **made}, links


@cache
def _virtualenv() -> tuple[dict[str, bytes], dict[str, str]]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        wheel = folder / "agent-1.0-py3-none-any.whl"
        wheel.write_bytes(zipped(_WHEEL))
        made = folder / "virtualenv"
        data = ("--app-data", str(folder / "app-data"))
        _run("virtualenv", "--no-seed", "--no-periodic-update", *data, str(made))
        _run("pip", "--python", str(made / "bin/python"), "install", "--no-index", "--no-deps", str(wheel))
        paths = sorted(path for path in made.rglob("*") if path.is_symlink() or path.is_file())
        files = {str(path.relative_to(folder)): path for path in paths}
        return (
            {name: path.read_bytes() for name, path in files.items() if not path.is_symlink()},
            {name: str(path.readlink()) for name, path in files.items() if path.is_symlink()},
        )


def in_wheel(name: str, files: Mapping[str, str | bytes]) -> bytes:
    """A wheel of tests/wheels.lock as an action: its own bytes, which are a zip, with `files` added."""
    with _MAKING:
        buffer = io.BytesIO(wheel(name).read_bytes())
    with zipfile.ZipFile(buffer, "a") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return buffer.getvalue()


def _run(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{words[0]} failed: {done.stdout}{done.stderr}")
