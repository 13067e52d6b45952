"""Compiles globs over paths, such as those of audit.toml, so that no pattern takes long to match."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

# A leading `**/` is none or some whole folders; any other `**` is any text.
_TOKEN = re.compile(r"(?:^|(?<=/))\*\*/|\*\*|\*|\?|\[[^]/]+\]|.", re.DOTALL)
_WILD = {"**/": r"(?:.*?/)??", "**": r".*?", "*": r"[^/]*?"}


@lru_cache(maxsize=256)
def glob_expression(pattern: str) -> re.Pattern[str]:
    """Compile a glob to match whole paths: `*`, `?` and `[…]` stay within a name, `**` crosses folders.

    What stands between two wildcards is matched where it first occurs, and never tried anew (`(?>…)`): as in
    fnmatch(3) of musl, the later wildcard takes what the earlier one could have. Otherwise the time would grow with
    the length of the path to the power of the number of wildcards.

    Raises:
        re.error: a `[…]` makes no sense.
    """
    parts: list[tuple[str, str]] = [("", "")]  # a wildcard, and what must follow it
    for token in _TOKEN.findall(pattern):
        if token in _WILD:
            parts.append((_WILD[token], ""))
        else:
            parts[-1] = parts[-1][0], parts[-1][1] + _one(token)
    crossings = [i for i, (wild, _) in enumerate(parts) if wild not in ("", _WILD["*"])]
    runs = [_run(parts[start:end]) for start, end in pairwise([0, *crossings, len(parts)])]
    return re.compile("".join([*(f"(?>{run})" for run in runs[:-1]), runs[-1]]), re.DOTALL)


def split_at_wildcard(pattern: str) -> tuple[str, str]:
    """Give the folders before the first name with a wildcard, and the rest."""
    parts = pattern.split("/")
    first = next((i for i, part in enumerate(parts) if re.search(r"[*?[]", part)), len(parts))
    return "/".join(parts[:first]) or "/", "/".join(parts[first:])


def _run(parts: list[tuple[str, str]]) -> str:
    """Join the parts up to the next wildcard that crosses folders: all but the first and last match at once."""
    texts = [wild + fixed for wild, fixed in parts]
    return "".join([texts[0], *(f"(?>{text})" for text in texts[1:-1]), *texts[1:][-1:]])


def _one(piece: str) -> str:
    """Give the expression for a piece of a glob that stands for one character."""
    if piece == "?":
        return "[^/]"
    if len(piece) == 1:
        return re.escape(piece)
    inner = piece[1:-1].replace("\\", r"\\")
    return f"(?!/)[{'^' + inner[1:] if inner[0] == '!' else inner}]"
