"""Shows text on a terminal: names of strangers harmlessly, paragraphs within the width of a report."""

from __future__ import annotations

import textwrap

WIDTH = 100  # columns


def printable(text: str) -> str:
    """Give `text` on one line, with control and undecodable characters as escapes."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)


def shorten(text: str, width: int) -> str:
    """Give `printable(text)`, shortened in the middle to `width` columns."""
    plain = printable(text)
    if len(plain) <= width:
        return plain
    head = (width - 1) // 2
    return f"{plain[:head]}…{plain[-(width - 1 - head) :]}"


def paragraph(text: str, first: str = "", rest: str | None = None) -> str:
    """Break `text` into lines of WIDTH columns that begin with `first`, the others with `rest` (default: the same).

    Neither paths nor the names of rules and options are broken at their hyphens.
    """
    indent = first if rest is None else rest
    return textwrap.fill(text, WIDTH, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False)


def _escaped(character: str) -> str:
    undecoded = 0xDC80 <= ord(character) <= 0xDCFF  # a byte that was no UTF-8 (PEP 383)
    return f"\\x{ord(character) - 0xDC00:02x}" if undecoded else character.encode("unicode_escape").decode()
