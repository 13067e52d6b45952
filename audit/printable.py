"""Shows names of strangers harmlessly: what could steer a terminal, or is no text at all, becomes an escape."""

from __future__ import annotations


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


def _escaped(character: str) -> str:
    undecoded = 0xDC80 <= ord(character) <= 0xDCFF  # a byte that was no UTF-8 (PEP 383)
    return f"\\x{ord(character) - 0xDC00:02x}" if undecoded else character.encode("unicode_escape").decode()
