from model_fetch import ModelFetchError


def test_each_error_has_an_exit_code_of_its_own_in_the_range_of_this_folder() -> None:
    errors: list[type[ModelFetchError]] = [ModelFetchError, *ModelFetchError.__subclasses__()]
    assert sorted(error.exit_code for error in errors) == list(range(10, 20))
