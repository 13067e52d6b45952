"""Runs what async actions return, on one event loop for the life of the container."""

from __future__ import annotations

import asyncio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def make_waiter() -> Callable[[object], object]:
    """Give a function that waits for an awaitable and gives its result.

    One loop for all activations: what an action keeps open between them (an HTTP session) is bound to its
    loop.
    """
    runner = asyncio.Runner()

    async def settle(awaitable: Awaitable[object]) -> object:
        return await awaitable

    return lambda awaitable: runner.run(settle(awaitable))  # type: ignore[arg-type]
