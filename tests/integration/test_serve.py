"""`./inv serve` as a process of its own: what it prints, what it answers, and that it leaves nothing."""

import json
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest

from cli.pipeline import ROOT
from images.build import Image
from images.container import LABEL
from tests.foreground import foreground
from tests.variants import PANDA

pytestmark = pytest.mark.engine

ENDS_WITHIN_S = 60
# What a shell without job control does for a command that ends with &.
IN_THE_BACKGROUND = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")


@contextmanager
def _serving(*words: str, by: Sequence[str] = ()) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, started as in the foreground or `by` another program, and the first line that it printed."""
    child = subprocess.Popen(
        foreground(*by, ROOT / "inv", "serve", *words),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        yield child, child.stdout.readline()
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait(ENDS_WITHIN_S)


def _left(engine: docker.DockerClient, pid: int) -> list[str]:
    return [str(one.name) for one in engine.containers.list(all=True, filters={"label": f"{LABEL}={pid}"})]


def _ask(url: str, body: bytes, kind: str) -> tuple[int, Any, str]:
    """Status, JSON and the activation's id."""
    request = urllib.request.Request(url, body, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer), answer.headers["x-openwhisk-activation-id"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error), error.headers["x-openwhisk-activation-id"]


def test_photos_are_classified_in_both_ways_until_ctrl_c_which_leaves_nothing(
    engine: docker.DockerClient, image: Image, photos: dict[str, Path]
) -> None:
    panda = photos["panda.jpg"].read_bytes()
    with _serving("--port", "0", "--json", "--memory", "128") as (child, first):
        where = json.loads(first)
        assert (where["image"], where["memory"]) == (image.tag, 128)
        (container,) = engine.containers.list(filters={"label": f"{LABEL}={child.pid}"})
        assert container.attrs["HostConfig"]["Memory"] == 128 << 20

        status, raw, raw_id = _ask(where["url"] + "/?top=1", panda, "image/jpeg")
        assert (status, raw["results"][0]["className"]) == (200, PANDA)
        assert _ask(where["web"] + ".http?top=1", panda, "image/jpeg")[1] == raw

        status, refused, _ = _ask(where["url"], b"no picture", "image/jpeg")
        assert status == 400
        assert "format is not known" in refused["error"]

        rest = where["rest"] + "?blocking=true&result=true"
        status, error, _ = _ask(rest, b'{"image": "no base64"}', "application/json")
        assert (status, list(error)) == (502, ["error"])
        assert _ask(rest, bytes(1 << 21), "application/json")[0] == 413

        container.kill()
        assert _ask(rest, b"{}", "application/json")[0] == 502  # it is gone, and the platform says so
        status, again, _ = _ask(where["url"] + "/?top=1", panda, "image/jpeg")
        assert (status, again) == (200, raw)  # in the next one

        child.send_signal(signal.SIGINT)
        out, said = child.communicate(timeout=ENDS_WITHIN_S)
    assert (child.returncode, out) == (0, "")
    assert raw_id in said
    assert "cold start" in said
    assert "stdout: " in said
    assert "the container is removed" in said
    assert _left(engine, child.pid) == []


def test_the_lines_for_this_machine_work_as_they_are_printed(
    engine: docker.DockerClient, image: Image, tmp_path: Path
) -> None:
    assert image
    with _serving("--port", "0") as (child, first):
        assert child.stdout is not None
        here = [first]
        while not here[-1].startswith("# on the platform"):
            here.append(child.stdout.readline())
        done = subprocess.run(
            ["sh", "-eu"], input="".join(here), capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert done.stdout.count(PANDA) == 2, (here, done)
        child.terminate()
        assert child.wait(ENDS_WITHIN_S) == 128 + signal.SIGTERM
    assert _left(engine, child.pid) == []


def test_as_a_background_job_it_passes_over_ctrl_c_and_ends_on_sigterm(
    engine: docker.DockerClient, image: Image, photos: dict[str, Path]
) -> None:
    assert image
    with _serving("--port", "0", "--json", by=IN_THE_BACKGROUND) as (child, first):
        child.send_signal(signal.SIGINT)
        url = json.loads(first)["url"]
        assert _ask(url, photos["panda.jpg"].read_bytes(), "image/jpeg")[0] == 200
        child.terminate()
        assert child.wait(ENDS_WITHIN_S) == 128 + signal.SIGTERM
    assert _left(engine, child.pid) == []


@pytest.mark.parametrize(("port", "status"), [("taken", 41), ("70000", 2), ("-1", 2)])
def test_a_port_that_cannot_be_is_said_before_anything_is_built(
    engine: docker.DockerClient, port: str, status: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        named = str(other.getsockname()[1]) if port == "taken" else port
        with _serving("--port", named) as (child, first):
            _, said = child.communicate(timeout=ENDS_WITHIN_S)
    assert (child.returncode, first) == (status, "")
    assert "--port" in said
    assert "Traceback" not in said
    assert _left(engine, child.pid) == []
