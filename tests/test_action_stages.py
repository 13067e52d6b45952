"""The profile lines in an activation's log."""

import re

import pytest

from action.classifier.stages import resident_bytes, stage


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
    before = resident_bytes()
    block = b"x" * 50_000_000
    assert 5_000_000 < before < resident_bytes() - len(block) // 2
