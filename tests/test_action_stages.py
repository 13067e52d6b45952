"""The profile lines in an activation's log."""

import re
import subprocess
import sys

import pytest

from action.classifier.stages import stage


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
