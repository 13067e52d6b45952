"""The commands as a user gives them: `./inv …` as a process of its own, its output, its exit code, what it leaves."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from cli.pipeline import ROOT, Pipeline
from cli.tests import settings
from images.build import Image
from images.container import LABEL
from tests.foreground import foreground
from tests.integration.test_photos import MISSES
from tests.variants import PANDA

pytestmark = pytest.mark.engine

STARTS_WITHIN_S = 60
ENDS_WITHIN_S = 60

Inv = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def inv(engine: docker.DockerClient) -> Inv:
    """Runs a command, which is to show no traceback and to leave no container."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        with started(*words) as child:
            out, err = child.communicate()
        assert "Traceback" not in err
        assert containers(engine, child.pid) == []
        return subprocess.CompletedProcess(child.args, child.returncode, out, err)

    return run


@pytest.fixture
def named(engine: docker.DockerClient, image: Image) -> Image:
    """The image, called by its tag again where another checkout has built its own under it meanwhile."""
    engine.images.get(image.id).tag(image.tag)
    return image


def started(*words: str) -> subprocess.Popen[str]:
    command = foreground(ROOT / "inv", *words)
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def containers(engine: docker.DockerClient, pid: int) -> list[str]:
    found = engine.api.containers(all=True, filters={"label": f"{LABEL}={pid}"})
    return [each["Names"][0] for each in found]


def test_verify_says_on_stdout_what_it_found(inv: Inv, named: Image) -> None:
    done = inv("verify", "panda.jpg", "--repeat", "2")
    assert done.returncode == 0, done.stderr
    assert "giant panda" in done.stdout
    assert f"{named.tag}, nothing has changed" in done.stderr


def test_verify_prints_json(inv: Inv, photos: dict[str, Path]) -> None:
    done = inv("verify", str(photos["lion.jpg"]), "panda.jpg", "--repeat", "1", "--json")
    assert done.returncode == 0, done.stderr
    lion, panda = json.loads(done.stdout)
    assert (lion["photo"], panda["photo"]) == ("lion.jpg", "panda.jpg")
    assert panda["ok"] is True
    assert panda["top"][0]["class_name"] == PANDA
    assert panda["cold_ms"] > panda["warm_ms"] > 0
    assert panda["memory"] > 0


def test_a_sample_taken_for_something_else_is_a_failure(inv: Inv, photos: dict[str, Path]) -> None:
    model, photo, taken_for = next(
        (model, *missed) for model, misses in MISSES.items() for missed in misses.items()
    )
    done = inv("verify", str(photos[photo]), "--model", model, "--repeat", "0", "--json")
    assert done.returncode == 1
    (verdict,) = json.loads(done.stdout)
    assert (verdict["ok"], verdict["top"][0]["class_name"]) == (False, taken_for)


def test_what_is_no_picture_is_a_failure(inv: Inv, tmp_path: Path) -> None:
    file = tmp_path / "notes.jpg"
    file.write_text("no picture at all")
    done = inv("verify", str(file), "--repeat", "0")
    assert done.returncode == 1
    assert "format is not known" in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("verify", "pandda.jpg"), 10, "did you mean panda.jpg"),
        (("verify", "/nowhere/panda.jpg"), 2, "/nowhere/panda.jpg"),
        (("verify", "--model", "tfjs_mobilenet_v1_0.75_224"), 2, "choose a .tflite one"),
        (("audit", "/nowhere/app.zip"), 2, "/nowhere/app.zip"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_message(
    inv: Inv, words: tuple[str, ...], code: int, said: str
) -> None:
    done = inv(*words)
    assert done.returncode == code
    assert said in done.stderr
    assert done.stdout == ""


def test_ctrl_c_removes_the_container(engine: docker.DockerClient, image: Image) -> None:
    assert image
    child = started("verify", "panda.jpg", "--repeat", "10000")
    try:
        deadline = time.monotonic() + STARTS_WITHIN_S
        while not containers(engine, child.pid):
            assert child.poll() is None, child.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=ENDS_WITHIN_S)
    finally:
        child.kill()
        child.wait()
    assert child.returncode == 128 + signal.SIGINT
    assert "interrupted" in said
    assert containers(engine, child.pid) == []


def test_a_build_with_nothing_changed_runs_no_step(
    inv: Inv, named: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a step of the build was run")

    monkeypatch.setattr("images.build.build_stage", refuse)
    again = Pipeline(settings()).image
    assert not again.fresh
    assert again.id == named.id
    done = inv("build")
    assert done.stdout.strip() == named.tag
    assert "nothing has changed" in done.stderr
