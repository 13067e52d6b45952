"""The platforms' limits, as data."""

import pytest

from audit.errors import ConfigError
from audit.profiles import limit_named, profiles, profiles_named


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("openwhisk.zip", 36 << 20),
        ("openwhisk.code", 48 << 20),
        ("openwhisk.parameters", 1 << 20),
        ("aws-lambda-zip.upload", 50 << 20),
        ("aws-lambda-zip.unpacked", 250 << 20),
        ("aws-lambda-image.image", 10_000_000_000),
    ],
)
def test_a_limit_is_found_by_the_name_of_its_platform_and_its_own(name: str, size: int) -> None:
    assert limit_named(name).bytes == size


def test_every_limit_says_why_and_where_that_is_written() -> None:
    limits = [limit for profile in profiles().values() for limit in profile.limits]
    assert all(limit.reason and limit.source and limit.label for limit in limits)
    assert len({limit.label for limit in limits}) == len(limits)


def test_a_platform_or_limit_that_is_not_known_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match="'azure'; known are openwhisk, aws-lambda-zip, aws-lambda-image"):
        profiles_named(["azure"])
    with pytest.raises(ConfigError, match=r"known are openwhisk\.zip"):
        limit_named("openwhisk.zap")


def test_a_platform_named_twice_counts_once() -> None:
    assert [profile.key for profile in profiles_named(["openwhisk", "openwhisk"])] == ["openwhisk"]
