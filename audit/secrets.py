"""Finds what looks like a secret in settings and commands, and never repeats its value."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# So much of one text is looked at; the longest history lines of real images are a few kB.
MAX_TEXT = 1 << 18

# The formats that issuers publish so that scanners can find them: the prefix alone is proof enough.
_TOKENS = {
    "an AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a private key": r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----",
    "a GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{50,100})",
    "a GitLab token": r"\bglpat-[A-Za-z0-9_-]{20}",
    "a Slack token": r"\bxox[abposr]-[A-Za-z0-9-]{10,250}",
    "a Google API key": r"\bAIza[0-9A-Za-z_-]{35}",
    "a Stripe key": r"\b[rs]k_live_[0-9A-Za-z]{20,100}",
    "an npm token": r"\bnpm_[A-Za-z0-9]{36}",
    "a PyPI token": r"\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,250}",
    "a JSON web token": r"\beyJ[A-Za-z0-9_-]{10,300}\.eyJ[A-Za-z0-9_-]{10}",
    "a password in a URL": r"\b[a-z][a-z0-9+]{1,10}://[^\s/:@$]{1,100}:(?!\$)[^\s/:@]{3,200}@[\w.\[-]",
}
_TOKEN = re.compile("|".join(f"(?P<t{i}>{text})" for i, text in enumerate(_TOKENS.values())))
_WORDS = tuple(_TOKENS)

# NAME=value, as ENV, ARG, LABEL and shells write it; the value is taken up to its closing quote or a space.
_SETTING = re.compile(
    r"""(?<![\w.-])(?P<name>[A-Za-z_][\w.-]{1,100})=(?:"(?P<d>[^"]*)"|'(?P<s>[^']*)'|(?P<p>[^\s;|&"']*))"""
)
_NAME = re.compile(
    r"(?:^|[_.-])(?:(?:pass|secret|token|credentials?|apikey|passwd|password|passphrase|pwd)"
    r"|(?:api|access|private|secret|auth|encryption|signing)[_.-]?key)$",
    re.IGNORECASE,
)
# References, switches and places are no secrets: $TOKEN, true, 8, /run/secrets/token, <none>, *****.
_HARMLESS = re.compile(
    r"|.{1,5}|.*\$.*|[/~.].*|true|false|none|null|<.*>|\W+|(.)\1*|change-?me", re.IGNORECASE
)


def secrets_in(text: str) -> Iterator[str]:
    """Name each likely secret in `text`, such as `NPM_TOKEN` or `a private key`; never its value."""
    text = text[:MAX_TEXT]
    for match in _TOKEN.finditer(text):
        yield _WORDS[int((match.lastgroup or "t0")[1:])]
    for match in _SETTING.finditer(text):
        value = match["d"] or match["s"] or match["p"] or ""
        if is_secret(match["name"], value) and not _TOKEN.search(value):
            yield match["name"]


def is_secret(name: str, value: str) -> bool:
    """Tell whether a setting has the name of a secret and a value that could be one."""
    return _NAME.search(name) is not None and _HARMLESS.fullmatch(value) is None
