import io
import re

import pytest
from rich.console import Console as Terminal

from cli.console import Step, human_bytes, human_time, step

SIZES = {
    0: "0 B",
    999: "999 B",
    1000: "1.0 kB",
    999_949: "999.9 kB",
    999_950: "1.0 MB",
    4_123_456: "4.1 MB",
    999_949_999: "999.9 MB",
    999_950_000: "1.00 GB",
    2_345_000_000_000: "2345.00 GB",
}


@pytest.mark.parametrize("count", SIZES)
def test_sizes_are_for_people(count: int) -> None:
    assert human_bytes(count) == SIZES[count]


TIMES = {
    0: "0.0 s",
    0.26: "0.3 s",
    9.94: "9.9 s",
    9.96: "10 s",
    41.2: "41 s",
    59.4: "59 s",
    59.6: "1 min 00 s",
    200: "3 min 20 s",
    4000: "66 min 40 s",
}


@pytest.mark.parametrize("seconds", TIMES)
def test_durations_are_for_people(seconds: float) -> None:
    assert human_time(seconds) == TIMES[seconds]


class Clock:
    """Time that passes when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("cli.console.time.monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def _plain() -> tuple[io.StringIO, Terminal]:
    out = io.StringIO()
    return out, Terminal(file=out, width=40, force_terminal=False)


def test_without_a_terminal_a_step_is_one_line_when_it_is_done(clock: Clock) -> None:
    out, terminal = _plain()
    with Step("build", terminal) as shown:
        clock.now += 12
        shown.outcome = "under48/classify:x-amd64"
        shown.bytes = 58_800_000
        assert out.getvalue() == ""
    assert out.getvalue() == f"{'build':<12} {'under48/classify:x-amd64':<64} {'12 s':>12} {'58.8 MB':>9}\n"


def test_a_step_without_bytes_ends_with_its_time(clock: Clock) -> None:
    out, terminal = _plain()
    with Step("engine", terminal) as shown:
        clock.now += 0.5
        shown.outcome = "20.10"
    assert out.getvalue() == f"{'engine':<12} {'20.10':<64} {'0.5 s':>12}\n"


def test_without_a_terminal_progress_is_told_every_quarter_of_a_minute(clock: Clock) -> None:
    out, terminal = _plain()
    with Step("fetch", terminal) as shown:
        for second in range(61):
            clock.now = 1000.0 + second
            shown.show_bytes("x.tflite", second * 1000, 60_000)
        before = out.getvalue().splitlines()
    assert before == [
        f"fetch        … x.tflite  {done}.0 kB of 60.0 kB  ({took})"
        for done, took in ((15, "15 s"), (30, "30 s"), (45, "45 s"), (60, "1 min 00 s"))
    ]


def test_quick_progress_without_a_terminal_is_not_told(clock: Clock) -> None:
    out, terminal = _plain()
    with Step("fetch", terminal) as shown:
        for done in range(1000):
            clock.now += 0.01
            shown.show(f"{done}", done, 1000)
        assert out.getvalue() == ""


def test_what_is_said_is_a_line_of_its_own_at_once() -> None:
    out, terminal = _plain()
    with Step("fetch", terminal) as shown:
        shown.say("the mirror is [not] there: " + "x" * 80)
        assert out.getvalue() == f"fetch        the mirror is [not] there: {'x' * 80}\n"


def _fail(shown: Step, error: BaseException) -> None:
    with shown:
        shown.outcome = "never seen"
        raise error


def test_a_step_that_fails_has_no_line() -> None:
    out, terminal = _plain()
    with pytest.raises(KeyError):
        _fail(Step("build", terminal), KeyError())
    assert out.getvalue() == ""


@pytest.mark.parametrize("total", [None, 0, 60_000])
def test_a_download_shows_its_whole_where_that_is_known(clock: Clock, total: int | None) -> None:
    out, terminal = _plain()
    with Step("fetch", terminal) as shown:
        clock.now += 20
        shown.show_bytes("x", 500, total)
        assert (" of 60.0 kB" in out.getvalue()) is bool(total)


def _terminal(width: int = 100) -> tuple[io.StringIO, Terminal]:
    out = io.StringIO()
    return out, Terminal(file=out, width=width, force_terminal=True, color_system=None, legacy_windows=False)


def _draw(shown: Step) -> None:
    """Now, not with the next of the bar's own refreshes."""
    assert shown._bar
    shown._bar.refresh()


def _seen(out: io.StringIO) -> str:
    """What a terminal was sent, without its control sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())


def test_on_a_terminal_progress_is_drawn_and_gone_at_the_end() -> None:
    out, terminal = _terminal()
    with Step("fetch", terminal) as shown:
        shown.show_bytes("x.tflite", 500, 1000)
        _draw(shown)
        assert "fetch        x.tflite  500 B of 1.0 kB" in _seen(out)
        shown.outcome = "x.tflite, verified"
    *_, last = _seen(out).splitlines()
    assert "\x1b[?25h" in out.getvalue(), "the cursor is shown again"
    assert re.fullmatch(r"\r?fetch        x\.tflite, verified +0\.\d s", last)


def test_on_a_terminal_text_is_cut_to_the_width_and_never_taken_for_markup() -> None:
    out, terminal = _terminal(width=80)
    with Step("build", terminal) as shown:
        shown.show("[1/9] [bold]" + "x" * 200 + "\\", 1, 9)
        _draw(shown)
    lines = [line for line in _seen(out).replace("\r", "\n").splitlines() if "[1/9]" in line]
    assert lines
    assert all(len(line) <= 80 and "[bold]" in line and "…" in line for line in lines)


def test_on_a_terminal_a_failed_step_leaves_the_cursor_and_no_line() -> None:
    out, terminal = _terminal()
    with pytest.raises(KeyboardInterrupt):
        _fail(Step("build", terminal), KeyboardInterrupt())
    assert "\x1b[?25h" in out.getvalue()
    assert "never seen" not in out.getvalue()


def test_steps_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with step("audit") as shown:
        shown.outcome = "no findings"
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("audit        no findings")
