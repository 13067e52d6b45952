import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.settings import BadSetting, check_option, read_settings

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
    "memory in words": ({"memory": "much"}, "the setting memory is 'much', and a number from 6 to 1,048,576"),
    "negative memory": ({"memory": -1}, "the setting memory is -1, and a number from 6 to 1,048,576"),
    "less memory than the engine gives": ({"memory": 5}, "the setting memory is 5, and a number from 6"),
    "half a megabyte": ({"memory": 0.5}, "the setting memory is 0.5, and a number from 6"),
    "memory that is no number": ({"memory": math.nan}, "the setting memory is nan, and a number from 6"),
    "more memory than there is": ({"memory": 10**20}, "the setting memory is 100000000000000000000, and a"),
    "memory of 400 digits": ({"memory": 10**400}, f"the setting memory is 1{'0' * 39}…, and a number"),
    "a limit without end": (
        {"limit": "inf"},
        "the setting limit is 'inf', and a number from 0 to 1,073,741,824",
    ),
    "a limit of more bytes than a double": ({"limit": "1e308"}, "the setting limit is '1e308', and a number"),
    "a negative limit": ({"limit": "-1"}, "the setting limit is '-1', and a number from 0"),
    "a limit that is none": ({"limit": True}, "the setting limit is True, and a number from 0"),
}


@pytest.mark.parametrize(("values", "said"), WRONG.values(), ids=WRONG)
def test_a_setting_of_the_wrong_kind_is_refused_by_name(values: dict[str, Any], said: str) -> None:
    with pytest.raises(BadSetting) as refused:
        read_settings({"model": "m", **values}, ROOT, {})
    assert said in str(refused.value)


@pytest.mark.parametrize("value", [-1, 11])
def test_an_option_out_of_its_range_is_refused_by_name(value: int) -> None:
    for fits in (0, 10):
        check_option("repeat", fits, 0, 10)
    with pytest.raises(BadSetting, match=f"^--repeat is {value}, and a whole number from 0 to 10 is needed$"):
        check_option("repeat", value, 0, 10)
