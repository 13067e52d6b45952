"""The profile lines in an activation's log."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from action.classifier.stages import process_age_ms, stage

ROOT = Path(__file__).parent.parent

# A process of its own, whose first activation is a cold start and whose second is not.
TWO_ACTIVATIONS = """
from action.classifier.stages import activation, inference, log, stage
log("loadModel", 4.25)
with activation(), inference(): pass
try:
    with activation():
        with stage("decode"): pass
        with stage("decode"): 1 / 0
except ZeroDivisionError:
    pass
"""
COLD = ["loadModel", "firstInference", "classify", "main"]
WARM = ["decode", "decode", "main"]


def printed(**environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", TWO_ACTIVATIONS],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=environment,
    )
    return done.stdout.splitlines()


def test_a_stage_logs_time_and_memory_also_when_it_fails(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), stage("main"), stage("decode"):
        _ = 1 / 0
    lines = capsys.readouterr().out.splitlines()
    patterns = [
        rf"elapsed {name} \d+\.\d ms" if kind == "elapsed" else rf"memory {name} rss=\d+\.\d MiB"
        for name in ("decode", "main")
        for kind in ("elapsed", "memory")
    ]
    assert len(lines) == len(patterns)
    assert all(re.fullmatch(pattern, line) for pattern, line in zip(patterns, lines, strict=True))


def test_resident_memory_is_bytes_of_this_process() -> None:
    # In a process of its own: in a large one the kernel may take other pages away meanwhile.
    code = (
        "from action.classifier.stages import resident_bytes\n"
        "before = resident_bytes()\n"
        "block = b'x' * 100_000_000\n"
        "print(before, resident_bytes())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert 5_000_000 < before < after - 50_000_000


def test_the_first_inference_is_logged_as_such_once() -> None:
    assert [line.split()[1] for line in printed() if line.startswith("elapsed")] == COLD + WARM


def test_a_line_of_json_ends_each_activation_when_it_is_wanted_and_says_the_same() -> None:
    lines = printed(UNDER48_PROFILE="json", __OW_ACTIVATION_ID="abc")
    assert [line for line in lines if not line.startswith(("elapsed ", "memory "))] == [lines[8], lines[-1]]
    cold, warm = (json.loads(line)["profile"] for line in (lines[8], lines[-1]))
    assert (cold["activation"], cold["cold"], warm["cold"]) == ("abc", True, False)
    assert [entry["stage"] for entry in cold["stages"]] == COLD
    assert [entry["stage"] for entry in warm["stages"]] == WARM
    said = [line for line in lines if line.startswith(("elapsed ", "memory "))]
    assert said == [
        line
        for entry in cold["stages"] + warm["stages"]
        for line in (
            f"elapsed {entry['stage']} {entry['ms']:.1f} ms",
            f"memory {entry['stage']} rss={entry['rss'] / (1 << 20):.1f} MiB",
        )
    ]


@pytest.mark.parametrize("value", ["", "text", "JSON"])
def test_any_other_value_asks_for_no_json(value: str) -> None:
    assert not [line for line in printed(UNDER48_PROFILE=value) if "{" in line]


def test_the_age_of_a_process_begins_with_it() -> None:
    code = "from action.classifier.stages import process_age_ms; print(process_age_ms())"
    before = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    most = (time.perf_counter() - before) * 1000
    assert 0 <= float(done.stdout) <= most + 10  # the kernel's tick
    own = process_age_ms()
    assert own is not None
    assert own > float(done.stdout)
