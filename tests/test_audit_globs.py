"""Globs: the same paths as by trying everything, and in bounded time whatever the pattern."""

import re
import subprocess
import sys
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.globs import glob_expression


@pytest.mark.parametrize(
    ("pattern", "path", "found"),
    [
        ("/usr/lib/*.so", "/usr/lib/a.so", True),
        ("/usr/lib/*.so", "/usr/lib/a/b.so", False),
        ("/usr/**/*.so", "/usr/a.so", True),
        ("/usr/**/*.so", "/usr/lib/x/a.so", True),
        ("/usr/**/*.so", "/usrx/a.so", False),
        ("**/tests/**", "/usr/tests/a/b", True),
        ("**", "/any/thing", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("a[!x]c", "abc", True),
        ("a[!x]c", "a/c", False),
        ("a[+-0]c", "a/c", False),  # a range that holds the slash
        ("[**]a", "*a", True),
        ("a**b", "a/x/b", True),
        ("a.c", "abc", False),
        ("a\nb*", "a\nbc", True),
        ("", "", True),
        ("", "a", False),
    ],
)
def test_a_glob_matches_whole_paths(pattern: str, path: str, found: object) -> None:
    assert (glob_expression(pattern).fullmatch(path) is not None) == found


def test_a_bracket_that_makes_no_sense_is_an_error() -> None:
    with pytest.raises(re.error):
        glob_expression("[z-a]")


def by_trying_everything(pattern: str, path: str) -> bool:
    @cache
    def rest(at: int, here: int) -> bool:
        left = pattern[at:]
        if not left:
            return here == len(path)
        if left.startswith("**/") and (at == 0 or pattern[at - 1] == "/"):
            ends = [here, *(i + 1 for i in range(here, len(path)) if path[i] == "/")]
            return any(rest(at + 3, end) for end in ends)
        if left.startswith("**"):
            return any(rest(at + 2, end) for end in range(here, len(path) + 1))
        if left[0] == "*":
            name = path.find("/", here) if "/" in path[here:] else len(path)
            return any(rest(at + 1, end) for end in range(here, name + 1))
        one = here < len(path) and (path[here] == left[0] or (left[0] == "?" and path[here] != "/"))
        return one and rest(at + 1, here + 1)

    return rest(0, 0)


PATTERNS = st.lists(st.sampled_from(["a", "b", "/", "*", "**", "**/", "/**/", "?"]), max_size=9).map("".join)


@given(PATTERNS, st.text("ab/", max_size=9))
def test_a_glob_matches_what_trying_everything_would(pattern: str, path: str) -> None:
    assert (glob_expression(pattern).fullmatch(path) is not None) == by_trying_everything(pattern, path)


@pytest.mark.parametrize(
    "pattern", ["*a" * 30 + "b", "**/" * 30 + "x", "**a" * 30 + "b", "*" * 99 + "x", "**/*a" * 20]
)
def test_many_wildcards_are_no_attack_on_time(pattern: str) -> None:
    script = f"from audit.globs import glob_expression as g; g({pattern!r}).fullmatch('/aa/a' * 60 + '/y')"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)  # trying everything takes ages
