"""The commands as a user gives them: `./inv …` as a process of its own, its output, its exit code, what it leaves."""

import json
import signal
import subprocess
import time
from pathlib import Path

import docker
import pytest

from cli.pipeline import ROOT, Pipeline
from cli.tests import settings
from images.build import Image
from images.container import LABEL
from tests.integration.test_photos import MISSES
from tests.variants import PANDA

pytestmark = pytest.mark.engine

STARTS_WITHIN_S = 60
ENDS_WITHIN_S = 60


def inv(*words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([ROOT / "inv", *words], capture_output=True, text=True, check=False, cwd=ROOT)
    assert "Traceback" not in done.stderr
    return done


def containers(engine: docker.DockerClient, pid: int | None = None) -> list[str]:
    """The containers of a command, or those of any whose command has ended."""
    found = engine.containers.list(all=True, filters={"label": LABEL if pid is None else f"{LABEL}={pid}"})
    return [str(each.name) for each in found if pid is not None or not _runs(int(each.labels[LABEL]))]


def _runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_verify_says_on_stdout_what_it_found(engine: docker.DockerClient, image: Image) -> None:
    done = inv("verify", "panda.jpg", "--repeat", "2")
    assert done.returncode == 0, done.stderr
    assert "giant panda" in done.stdout
    assert f"{image.tag}, nothing has changed" in done.stderr
    assert containers(engine) == []


def test_verify_prints_json(photos: dict[str, Path]) -> None:
    done = inv("verify", str(photos["lion.jpg"]), "panda.jpg", "--repeat", "1", "--json")
    assert done.returncode == 0, done.stderr
    lion, panda = json.loads(done.stdout)
    assert (lion["photo"], panda["photo"]) == ("lion.jpg", "panda.jpg")
    assert panda["ok"] is True
    assert panda["top"][0]["class_name"] == PANDA
    assert panda["cold_ms"] > panda["warm_ms"] > 0
    assert panda["memory"] > 0


def test_a_sample_taken_for_something_else_is_a_failure(
    engine: docker.DockerClient, photos: dict[str, Path]
) -> None:
    model, photo, taken_for = next(
        (model, *missed) for model, misses in MISSES.items() for missed in misses.items()
    )
    done = inv("verify", str(photos[photo]), "--model", model, "--repeat", "0", "--json")
    assert done.returncode == 1
    (verdict,) = json.loads(done.stdout)
    assert (verdict["ok"], verdict["top"][0]["class_name"]) == (False, taken_for)
    assert containers(engine) == []


def test_what_is_no_picture_is_a_failure_and_leaves_no_container(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    file = tmp_path / "notes.jpg"
    file.write_text("no picture at all")
    done = inv("verify", str(file), "--repeat", "0")
    assert done.returncode == 1
    assert "format is not known" in done.stdout
    assert containers(engine) == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("verify", "pandda.jpg"), 10, "did you mean panda.jpg"),
        (("verify", "/nowhere/panda.jpg"), 2, "/nowhere/panda.jpg"),
        (("verify", "--model", "tfjs_mobilenet_v1_0.75_224"), 2, "choose a .tflite one"),
        (("audit", "/nowhere/app.zip"), 2, "/nowhere/app.zip"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_message(words: tuple[str, ...], code: int, said: str) -> None:
    done = inv(*words)
    assert done.returncode == code
    assert said in done.stderr
    assert done.stdout == ""


def test_ctrl_c_removes_the_container(engine: docker.DockerClient, image: Image) -> None:
    assert image
    command = [str(ROOT / "inv"), "verify", "panda.jpg", "--repeat", "1000000"]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
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


def test_a_build_with_nothing_changed_runs_no_step(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a step of the build was run")

    monkeypatch.setattr("images.build.build_stage", refuse)
    again = Pipeline(settings()).image
    assert not again.fresh
    assert again.id == image.id
    done = inv("build")
    assert done.stdout.strip() == image.tag
    assert "nothing has changed" in done.stderr
