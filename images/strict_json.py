"""Reads JSON as the platform does: Python's own reader takes NaN, and numbers and depths that cannot be passed on."""

import json
import math
from typing import Any, NoReturn

MOST_DEPTH = 500  # Python's reader and writer end at about 1000, wherever they are called


class NotJson(ValueError):
    """A text is not JSON, or has in it what cannot be passed on; the text says what."""


def decode(content: bytes) -> Any:
    """The value that a JSON text in UTF-8 stands for (RFC 8259).

    Raises:
        NotJson: it is no such text, a number in it is too large, or it is nested too deeply.
    """
    try:
        value = json.loads(content.decode(), parse_constant=_refuse, parse_float=_finite)
    except NotJson:
        raise
    except UnicodeDecodeError as error:
        raise NotJson(f"it is not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise NotJson(f"{error.msg[:1].lower()}{error.msg[1:]} at character {error.pos}") from None
    except ValueError:
        raise NotJson("a number in it has too many digits") from None  # int() takes 4300
    except RecursionError:
        raise NotJson(_TOO_DEEP) from None
    if _is_deeper(value, MOST_DEPTH):
        raise NotJson(_TOO_DEEP)
    return value


_TOO_DEEP = f"it is nested too deeply, at most {MOST_DEPTH} arrays and objects may lie in one another"


def _refuse(constant: str) -> NoReturn:
    raise NotJson(f"{constant} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise NotJson(f"the number {text[:20]} is too large")
    return value


def _is_deeper(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most):
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return False
    return any(isinstance(one, dict | list) for one in level)
