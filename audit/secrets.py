"""Finds what looks like a secret in settings and commands, and never repeats its value.

Texts come from whoever made the image: every repetition below is bounded, and possessive where it could be tried anew.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

# So much of one text is looked at; the longest history lines of real images are a few kB.
MAX_TEXT = 1 << 18
# So much of all texts of an image; each counts as at least so much, for the time that even an empty one takes.
MAX_TEXT_IN_ALL = 1 << 20
LEAST_TEXT = 1 << 6
# So much of one value tells what it is; so far before an option its command is looked for.
MAX_VALUE = 200
MAX_COMMAND = 300

# The formats that issuers publish so that scanners can find them: the prefix alone is proof enough.
_TOKENS = {
    "an AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a private key": r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY(?: BLOCK)?-----",
    "a GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{50,100})",
    "a GitLab token": r"\bglpat-[A-Za-z0-9_-]{20}",
    "a Slack token": r"\b(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{10,250}",
    "a Google API key": r"\bAIza[0-9A-Za-z_-]{35}",
    "a Stripe key": r"\b[rs]k_live_[0-9A-Za-z]{20,100}",
    "an npm token": r"\bnpm_[A-Za-z0-9]{36}",
    "a PyPI token": r"\bpypi-AgE[A-Za-z0-9_-]{50,250}",
    "a Hugging Face token": r"\bhf_[A-Za-z0-9]{30,60}",
    "an Anthropic key": r"\bsk-ant-[A-Za-z0-9_-]{20,250}",
    "an OpenAI key": r"\bsk-(?:(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20,250}|[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20})",
    "a SendGrid key": r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}",
    "a Docker Hub token": r"\bdckr_pat_[A-Za-z0-9_-]{20,60}",
    "a JSON web token": r"\beyJ[A-Za-z0-9_-]{10,300}\.eyJ[A-Za-z0-9_-]{10}",
}
_TOKEN = re.compile("|".join(f"(?P<t{i}>{text})" for i, text in enumerate(_TOKENS.values())))
_WORDS = tuple(_TOKENS)

# A value as shells write it; what stands in single quotes is taken as it is, else $NAME is a reference.
_VALUE = (
    rf"""(?:\\?"(?P<d>[^"\\]{{0,{MAX_VALUE}}}+)|\\?'(?P<s>[^'\\]{{0,{MAX_VALUE}}}+)"""
    rf"""|(?P<p>[^\s;|&"'<>()\\]{{0,{MAX_VALUE}}}+))"""
)
# NAME=value, as ENV, ARG, LABEL and shells write it. A value may hold settings itself, so the next begins in it.
_SETTING = re.compile(rf"(?<![\w.-])(?P<name>[A-Za-z_][\w.-]{{1,100}}+)=(?={_VALUE})")
# What stands behind one dash may be a value itself, as in -prootpassword: only whole words count there.
_OPTION = re.compile(
    r"(?<![\w-])(?P<name>--[A-Za-z][\w.-]{1,60}+|-D[\w.-]{1,60}+(?==)"
    r"|-(?:(?:src|dest)?storepass|keypass|password|passwd|passphrase|pass|token|secret)(?![\w.-]))"
    rf"(?:=|\s{{1,40}}+(?!-|id=|src=|source=|type=|env=))(?={_VALUE})"
)


@dataclass(frozen=True, slots=True)
class _Use:
    """Where commands and texts hold a secret without a name: `command` is one that stands before, if it matters.

    `pair` tells a value that is a user and a password with a colon between them.
    """

    what: str
    place: re.Pattern[str]
    command: re.Pattern[str] | None = None
    pair: bool = False

    def holds_secret(self, value: str) -> bool:
        """Tell whether a value could be a secret that no other rule tells of."""
        user, _, password = value.partition(":")
        if self.pair and user.isdecimal() and password.isdecimal():  # a user's and a group's number
            return False
        secret = password if self.pair else value
        return not _is_harmless(secret) and _TOKEN.search(secret) is None

    def follows(self, text: str, start: int) -> bool:
        """Tell whether what starts there stands after its command, before the next command begins."""
        if self.command is None:
            return True
        before = text[max(0, start - MAX_COMMAND) : start]
        return self.command.search(_SEPARATOR.split(before)[-1]) is not None


def _use(what: str, place: str, command: str = "", *, pair: bool = False) -> _Use:
    before = re.compile(rf"(?:^|[\s/('\"]){command}\s", re.IGNORECASE) if command else None
    return _Use(what, re.compile(place.replace("VALUE", _VALUE), re.IGNORECASE), before, pair)


_ECHO = (
    r"\b(?:echo|printf)\s{1,40}+(?:-[a-z]{1,3}+\s{1,40}+){0,3}+VALUE[^|&]{0,300}+\|\s{0,40}+"
    r"(?:sudo\s{1,9}+)?(?:/\S{0,20}/)?"
)
_USES = (
    _use("a password for chpasswd", rf"{_ECHO}chpasswd\b", pair=True),
    _use("a password for chpasswd", r"\bchpasswd\b[^|;&<]{0,40}+<<<\s{0,9}+VALUE", pair=True),
    _use("a password for chpasswd", r"\bchpasswd\b[^|;&<]{0,40}+<<-?[\"'\w]{1,20}+\s{1,9}+VALUE", pair=True),
    _use("a password for passwd", rf"{_ECHO}passwd\b"),
    _use("a password for openssl", r"\bopenssl\s{1,9}+passwd\s{1,9}+(?:-\w{1,10}+\s{1,9}+){0,3}+VALUE"),
    _use(
        "a password for curl",
        r"(?<![\w-])(?:-[a-z]{0,6}u|--(?:proxy-)?user)[\s=]{0,9}+VALUE",
        "curl",
        pair=True,
    ),
    _use("a password for mysql", r"(?<![\w-])(?-i:-p)(?=\S)VALUE", r"(?:mysql\w{0,20}|mariadb[\w-]{0,20})"),
    _use("a password for mysql", r"(?<![\w-])password\s{1,9}+VALUE", r"(?:mysql|mariadb-)admin"),
    _use("a password for sshpass", r"\bsshpass\s{1,9}+-p\s{0,9}+VALUE"),
    _use("a password in SQL", r"\bIDENTIFIED\s{1,9}+BY\s{1,9}+(?=\\?[\"'])VALUE"),
    _use("a password in SQL", r"\bPASSWORD(?:\s{1,9}+|\()(?=\\?[\"'])VALUE", "(?:user|role|set)"),
    _use(
        "a password for debconf",
        r"(?<![\w./-])[\w.-]{1,60}+/(?=[\w./-]{0,80}(?:pass|pw))[\w./-]{1,80}+\s{1,9}+password\s{1,9}+VALUE",
    ),
    _use("an Authorization header", r"\bAuthorization:\s{0,9}+(?:Bearer|Basic|Token)\s{1,9}+VALUE"),
    _use(
        "a password in a URL",
        r"\b[a-z][a-z0-9+.-]{1,20}+://[^\s/:@\"'<>]{0,100}+:(?P<u>[^\s/@\"'<>]{1,200}+)@[\w.\[${%-]",
    ),
    # A user without a password is a token where it is as long and mixed as one. Sentry's are public keys.
    _use(
        "a token in a URL",
        r"\b(?:git\+)?https?://(?=[^\s/@]{0,255}\d)(?=[^\s/@]{0,255}[a-z])(?P<u>[\w.~%-]{20,255}+):?"
        r"@(?![\w.-]{0,100}sentry)[\w.\[${%-]",
    ),
)

_IS_PASSWORD = re.compile(
    r"(?:password|passwd|passphrase|(?:db|my|sql|smtp|mail|ftp|ssh|root|user|admin|store|key|require)pass"
    r"|(?:^|[_.-])(?:pass|pwd|pw)|(?-i:[a-z](?:Pass|Pwd|Pw)))$",
    re.IGNORECASE,
)
_IS_KEY = re.compile(
    r"(?:secret|token|(?:api|access|private|secret|auth|encryption|signing|master|jwt|account)[_.-]?key"
    r"|(?:^|[_.-])credentials?|secret[_.-]?key[_.-]?base|^app_key|^_auth)$",
    re.IGNORECASE,
)
# Switches such as MYSQL_ALLOW_EMPTY_PASSWORD and --disabled-password; PWD is the folder, askpass a program.
_NO_SECRET = re.compile(
    r"(?:^|[_.-])(?:allow|ask|askpass|disabled?|empty|enabled?|generate|has|no|prompt|random|required?|skip|use|without)"
    r"(?:[_.-]|$)|(?-i:^(?:OLD)?PWD$)",
    re.IGNORECASE,
)

# What is no secret as a whole. Each part of it reads a value in one pass.
_HARMLESS_VALUES = (
    r"\W*|_+|[x0]+",  # nothing, *****, xxxx
    r"true|false|yes|no|on|off|none|null|nil|undefined|unset",
    r"\$.*|%[sd]|%\w+%|<.*|[a-z][a-z0-9+.-]{0,20}://.*|arn:aws.*",  # $TOKEN, %s, %TOKEN%, <token>, vault://token
    r"\{[\w .-]*\}|\[[\w .-]*\]|@[\w.-]*@|__\w*__",  # {token}, [token], @token@, __token__
    r"(?:~|\.\.?|[a-z]:)?(?:[/\\][\w.@ -]*)+|\.[*\[].*",  # /run/secrets/token, a regular expression
    r"(?-i:[a-z_.-]+(?:/[a-z_.-]+)+)|id_[a-z0-9]+",  # secrets/token, id_rsa
    r"[\w./\\@ -]+\.(?:json|ya?ml|toml|xml|txt|env|ini|conf|cfg|properties)",
    r"[\w./\\@ -]+\.(?:pem|key|pub|crt|cer|p12|pfx|jks|asc|gpg)",
    r"(?-i:(?:[A-Z]+_)+(?:KEY|TOKEN|SECRET|PASSWORD|PASS|PWD|CREDENTIALS?)|TOKEN|KEY)",  # API_KEY
)
_HARMLESS = re.compile("|".join(_HARMLESS_VALUES), re.IGNORECASE | re.DOTALL)
# What marks a value as one that is still to be put in, wherever it stands in it.
_UNFILLED = re.compile(
    r"(?<![a-z])your|change[-_ ]?(?:me|this)|replace[-_ ]?(?:me|this|with)|placeholder|[-_ ]here$"
    r"|^(?:insert|enter|put|add)[-_ ]|(?<![a-z])(?:dummy|example|redacted|masked|todo|fixme|tbd)(?![a-z])"
    r"|(?<![a-z0-9])x{3}|x{5}|\.\.\.",
    re.IGNORECASE,
)
# The same in a token, whose letters may well be those of a word.
_UNFILLED_TOKEN = re.compile(r"(?<![a-z])your[-_]|x{5}", re.IGNORECASE)
_REFERENCE = re.compile(r"\$[{(]|`|\{\{|<%|#\{")
_EXPANDED = re.compile(r"\$\w")
_LIMIT = re.compile(r"[\d_,.]{1,15}[km]?", re.IGNORECASE)
_SEPARATOR = re.compile(r"&&|[;|\n]")


def secrets_in(text: str, told: AbstractSet[str] = frozenset()) -> Iterator[str]:
    """Name each likely secret in `text` once, such as `NPM_TOKEN` or `a private key`; never its value.

    Names that are `told` already are passed over, before their values are looked at.
    """
    text = text[:MAX_TEXT]
    known = set(told)
    for search in (_tokens, _settings, _uses):
        for what in search(text, known):
            known.add(what)
            yield what


def _tokens(text: str, known: AbstractSet[str]) -> Iterator[str]:
    for match in _TOKEN.finditer(text):
        what = _WORDS[int((match.lastgroup or "t0")[1:])]
        if what not in known and _UNFILLED_TOKEN.search(match[0]) is None:
            yield what


def _settings(text: str, known: AbstractSet[str]) -> Iterator[str]:
    for pattern in (_SETTING, _OPTION):
        for match in pattern.finditer(text):
            name = match["name"]
            if name not in known:
                value = _value(match)
                if is_secret(name.lstrip("-"), value) and not _TOKEN.search(value):
                    yield name


def _uses(text: str, known: AbstractSet[str]) -> Iterator[str]:
    for use in _USES:
        for match in use.place.finditer(text):
            if use.what in known:
                break
            if use.holds_secret(_value(match)) and use.follows(text, match.start()):
                yield use.what


def is_secret(name: str, value: str) -> bool:
    """Tell whether a setting has the name of a secret and a value that could be one."""
    is_password = _IS_PASSWORD.search(name) is not None
    if not (is_password or _IS_KEY.search(name)) or _NO_SECRET.search(name):
        return False
    if value == name or _is_harmless(value):
        return False
    if is_password:  # of any length; but `pass` alone counts in shells
        return not (name in {"pass", "Pass", "PASS"} and value.isdecimal() and len(value) < 3)
    return len(value) > 1 and not (name[-5:].lower() == "token" and _LIMIT.fullmatch(value))


def _value(match: re.Match[str]) -> str:
    """Give the value as it is written; a reference to a variable in place of one that a shell puts together."""
    found = match.groupdict()
    if found.get("s") is not None:
        return str(found["s"])
    value = next((found[key] for key in ("d", "p", "u") if found.get(key)), "")
    return "$" if _EXPANDED.search(value) else value


def _is_harmless(value: str) -> bool:
    value = value.strip()[:MAX_VALUE]
    return any((_HARMLESS.fullmatch(value), _UNFILLED.search(value), _REFERENCE.search(value)))
