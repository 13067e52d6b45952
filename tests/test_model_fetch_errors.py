import pytest

from model_fetch import ModelFetchError, NotFound


def test_each_error_has_an_exit_code_of_its_own_in_the_range_of_this_folder() -> None:
    errors: list[type[ModelFetchError]] = [ModelFetchError, *ModelFetchError.__subclasses__()]
    assert sorted(error.exit_code for error in errors) == list(range(10, 20))


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("https://me:secret@host/a is not there", "https://host/a is not there"),
        ("https://me@host", "https://host"),
        ("http://me:s@cret@host:80/a", "http://host:80/a"),
        ("a: 'https://u:p@one/x'; b: (http://u:p@two/y)", "a: 'https://one/x'; b: (http://two/y)"),
        ("https://host/pkg@1.0/file by me@host", "https://host/pkg@1.0/file by me@host"),
    ],
)
def test_no_message_shows_who_a_url_logs_in(said: str, shown: str) -> None:
    assert str(NotFound(said)) == shown
