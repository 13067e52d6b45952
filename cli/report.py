"""Tables of what was verified, and of what can be fetched."""

from collections import Counter
from collections.abc import Sequence

from tabulate import tabulate

from cli.console import human_bytes
from images.clean import Removal
from images.verify import Verdict
from model_fetch import Row

# The parts of a cold start that the action logs, by what it calls them there.
_COLD_STAGES = {
    "processStart": "process start",
    "import": "import",
    "loadModel": "model load",
    "firstInference": "first inference",
}
_LABEL_WIDTH = 28  # so that the table fits 100 columns


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    """One row a photo: the two best classes, cold and warm time, the container's memory; then what went wrong."""
    rows = [
        (
            "ok" if not verdict.problem else "FAIL",
            _shorten(verdict.photo, 20),
            _shorten(verdict.top[0].class_name.partition(",")[0], _LABEL_WIDTH) if verdict.top else "-",
            f"{verdict.top[0].probability:.1%}" if verdict.top else "-",
            f"{verdict.cold_ms:.0f}",
            f"{verdict.warm_ms:.1f}",
            f"{verdict.memory / (1 << 20):.1f}",
        )
        for verdict in verdicts
    ]
    headers = ("", "photo", "best class", "probability", "cold ms", "warm ms", "MiB")
    align = ("left", "left", "left", "right", "right", "right", "right")
    table = tabulate(rows, headers, tablefmt="simple", colalign=align, disable_numparse=True)
    remarks = [f"{v.photo}: {text}" for v in verdicts for text in (v.problem, v.note) if text]
    return "\n".join([table, *remarks])


def details(verdict: Verdict) -> str:
    """For one photo: its best classes, the parts of the cold start, and what the activation logged."""
    classes = tabulate(
        [(f"{ranked.probability:.2%}", ranked.class_name) for ranked in verdict.top],
        tablefmt="plain",
        colalign=("right", "left"),
        disable_numparse=True,
    )
    cold = (
        f"cold {verdict.cold_ms:.0f} ms = container {verdict.start_ms:.0f} + /init {verdict.init_ms:.0f} "
        f"+ first /run {verdict.run_ms:.0f}; warm {verdict.warm_ms:.1f} ms"
    )
    elapsed = {stage.name: stage.ms for stage in verdict.stages}
    parts = ", ".join(
        f"{words} {elapsed[name]:.1f}" for name, words in _COLD_STAGES.items() if name in elapsed
    )
    inside = f"\nin it, by the action's own log: {parts} ms" if parts else ""
    log = "\n".join(f"  {line}" for line in verdict.log)
    return f"{classes}\n\n{cold}{inside}\nlog of the first activation:\n{log}"


def catalog_table(rows: Sequence[Row]) -> str:
    """One row an entry of the catalogue."""
    shown = [
        (
            row.kind,
            row.name,
            human_bytes(row.bytes),
            "yes" if row.bundled else "",
            "yes" if row.cached else "",
            _shorten(row.licence, 42),
        )
        for row in rows
    ]
    headers = ("kind", "name", "size", "bundled", "cached", "licence")
    align = ("left", "left", "right", "left", "left", "left")
    return tabulate(shown, headers, tablefmt="simple", colalign=align)


def _shorten(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def removal_table(removal: Removal) -> str:
    """One row a kind of image, with how many there are of it; and how much room they take at most."""
    counts = Counter(image.title for image in removal.images)
    rows = [*counts.items(), ("together, at most", human_bytes(removal.bytes))]
    return tabulate(rows, headers=("image", "number"), colalign=("left", "right"), disable_numparse=True)
