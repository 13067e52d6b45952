"""Symlinks that lead out of a target, or nowhere."""

from typing import Any

import pytest

from audit.links import BadLink, bad_links
from audit.readers.builder import TreeBuilder
from audit.tree import Entry, Tree


def tree_of(form: Any, links: dict[str, str]) -> Tree:
    builder = TreeBuilder("x")
    builder.put("/lib/a.so", Entry(kind="file", mode=0o644))
    for path, target in links.items():
        builder.put(path, Entry(kind="symlink", mode=0o777, target=target))
    return builder.build(form)


@pytest.mark.parametrize(
    ("links", "zipped", "rooted"),
    [
        ({"/b": "lib/a.so"}, None, None),
        ({"/lib/b": "../lib/a.so"}, None, None),
        ({"/b": "lib/gone"}, "dangling", "dangling"),
        ({"/b": ""}, "dangling", "dangling"),
        ({"/b": "b"}, "loop", "loop"),
        ({"/b": "/lib/a.so"}, "outside", None),
        ({"/b": "/lib/gone"}, "outside", "dangling"),
        ({"/b": "../lib/a.so"}, "outside", None),
        ({"/lib/b": "../../etc/passwd"}, "outside", "dangling"),
        ({"/b": "lib/../../x"}, "outside", "dangling"),
        ({"/b": "/proc/self/mounts"}, "outside", None),
        ({"/b": "/run/lock/x"}, "outside", None),
        ({"/b": "lib/a.so/x"}, "dangling", "dangling"),
    ],
)
def test_a_link_of_a_package_must_stay_in_it_while_an_image_has_no_outside(
    links: dict[str, str], zipped: str | None, rooted: str | None
) -> None:
    for form, fault in (("zip", zipped), ("folder", zipped), ("image", rooted), ("tar", rooted)):
        faults = {link.path: link.fault for link in bad_links(tree_of(form, links))}
        assert faults.get(next(iter(links))) == fault


def test_a_link_that_leaves_through_another_link_is_found() -> None:
    tree = tree_of("zip", {"/deep/up": "..", "/deep/out": "up/../x"})
    assert bad_links(tree) == (BadLink(path="/deep/out", target="up/../x", fault="outside"),)
