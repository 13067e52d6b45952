from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.settings import BadSetting, read_settings

ROOT = Path("/checkout")


def test_what_is_not_set_has_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    read = read_settings({"model": "m", "limit": None}, ROOT, {})
    assert (read.arch, read.base, read.engine, read.mirrors, read.memory, read.limit) == (
        "",
        "",
        "",
        (),
        256,
        0,
    )
    assert read.cache == Path("/caches/under48")


def test_folders_of_the_file_are_named_from_the_project_and_those_of_options_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    values = {
        "model": "m",
        "mirror": ["./m", "https://mirror/x"],
        "mirrors": ["mirror", "/m"],
        "cache": "c",
    }
    read = read_settings(values, ROOT, {})
    assert read.mirrors == (f"{tmp_path}/m", "https://mirror/x", "/checkout/mirror", "/m")
    assert read.cache == ROOT / "c"


@pytest.mark.parametrize(
    ("value", "mirrors"),
    [
        ("", ()),
        (";; ;", ()),
        ("/m", ("/m",)),
        ("/m;https://mirror/x?a=b,c;", ("/m", "https://mirror/x?a=b,c")),
        (" /with space ; file:///n ", ("/with space", "file:///n")),
        ("m;../n", ("/here/m", "/here/../n")),
        ("~/m", ("/home/me/m",)),
    ],
)
def test_the_environment_names_mirrors_with_semicolons_between(
    monkeypatch: pytest.MonkeyPatch, value: str, mirrors: tuple[str, ...]
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setattr(Path, "cwd", lambda: Path("/here"))
    assert read_settings({"model": "m"}, ROOT, {"UNDER48_MIRRORS": value}).mirrors == mirrors


def test_mirrors_of_the_option_come_before_the_environments_and_those_before_the_files() -> None:
    values = {"model": "m", "mirror": ["/option"], "mirrors": ["/file"]}
    read = read_settings(values, ROOT, {"UNDER48_MIRRORS": "/environment"})
    assert read.mirrors == ("/option", "/environment", "/file")


def test_no_mirror_is_named_where_the_user_names_none() -> None:
    named = yaml.safe_load((Path(__file__).parents[1] / "invoke.yaml").read_text())
    assert read_settings(named, ROOT, {}).mirrors == ()


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a model that is a number": ({"model": 5}, "the setting model is 5, and a text is needed"),
    "no model": ({"model": None}, "no model is named"),
    "mirrors that are one text": ({"mirrors": "/tmp"}, "the setting mirrors is '/tmp', and a list"),
    "mirrors that are numbers": ({"mirrors": [1]}, "the setting mirrors is [1], and a list"),
    "a cache that is a number": ({"cache": 5}, "the setting cache is 5, and a text is needed"),
    "memory in words": ({"memory": "much"}, "the setting memory is 'much', and a number from 0 up is needed"),
    "negative memory": ({"memory": -1}, "and a number from 0 up is needed"),
    "a limit without end": ({"limit": "inf"}, "and a number from 0 up is needed"),
    "a limit that is none": ({"limit": True}, "and a number from 0 up is needed"),
}


@pytest.mark.parametrize(("values", "said"), WRONG.values(), ids=WRONG)
def test_a_setting_of_the_wrong_kind_is_refused_by_name(values: dict[str, Any], said: str) -> None:
    with pytest.raises(BadSetting) as refused:
        read_settings({"model": "m", **values}, ROOT, {})
    assert said in str(refused.value)
