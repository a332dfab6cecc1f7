"""What stands between clients and a model: batches, few threads, limits of rate and time."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import anyio
import anyio.to_thread
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from uvicorn.protocols.http.h11_impl import H11Protocol

from mmjax.evaluation.predictions import CHUNK

DECODING = 2  # requests whose files are decoded at the same time
WAITING = 2048  # searches or rows; more are refused until some are answered
READING = 10.0  # seconds that a client has to send its request


class Batches:
    """Calls a function with all that waits while it computes, up to `CHUNK` at a time."""

    def __init__(self, function: Callable[[list[Any]], Sequence[Any]]) -> None:
        self._function = function
        self._waiting: asyncio.Queue[tuple[Any, asyncio.Future]] = asyncio.Queue()

    async def __call__(self, value: Any) -> Any:
        """The result for one value."""
        return (await self.all([value]))[0]

    async def all(self, values: Sequence[Any]) -> list[Any]:
        """The results for these values, which wait together or not at all."""
        if self._waiting.qsize() + len(values) > WAITING:
            raise HTTPException(503, "busy: try again", {"Retry-After": "1"})
        answers = [asyncio.get_running_loop().create_future() for _ in values]
        for value, answer in zip(values, answers, strict=True):
            self._waiting.put_nowait((value, answer))
        return await asyncio.gather(*answers)

    async def run(self) -> None:
        """Answer for ever."""
        while True:
            batch = [await self._waiting.get()]
            while not self._waiting.empty() and len(batch) < CHUNK:
                batch.append(self._waiting.get_nowait())
            try:
                results = await run_in_threadpool(self._function, [value for value, _ in batch])
            except Exception as error:
                for _, answer in batch:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for (_, answer), result in zip(batch, results, strict=True):
                if not answer.done():  # the client may have gone
                    answer.set_result(result)


class Decoding:
    """Runs a reader of requests in threads, few at a time: a small file can be a large picture."""

    def __init__(self) -> None:
        self._limiter = anyio.CapacityLimiter(DECODING)

    async def __call__(self, read: Callable[[Any], Any], content: Any) -> Any:
        return await anyio.to_thread.run_sync(read, content, limiter=self._limiter)


class Limited:
    """Refuses requests of an address that sends too many."""

    def __init__(self, app: Any, rate: int) -> None:
        self._app, self._rate = app, parse(f"{rate}/second")
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        address = (scope.get("client") or ("",))[0]
        if scope["type"] == "http" and not self._limiter.hit(self._rate, address):
            response = JSONResponse({"error": "too many requests"}, 429, {"Retry-After": "1"})
            await response(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class Impatient(H11Protocol):
    """HTTP/1.1 for uvicorn; closes a connection that does not send a whole head in time."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        asyncio.get_running_loop().call_later(READING, self._look)

    def _look(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()
