"""How many searches a second does mmjax serve answer, and what do hostile clients change?

    pip install -e '.[serve,test]'
    mmjax serve INDEX --rate 100000 &
    python experiments/server_load.py http://127.0.0.1:8000 --words red heart dog

64 clients ask one after the other for a minute; then again while 200 clients send a letter now and
then, others send bodies of 100 MB, and others ask for files. Prints requests/s and percentiles.
"""

import asyncio
import contextlib
import json
import time
from typing import Annotated
from urllib.parse import urlparse

import httpx
import numpy as np
import tyro

SLOW = 200  # clients that never end their request
WRONG = [
    ("GET", "/../../etc/passwd", b""),
    ("GET", "/%2e%2e/index.json", b""),
    ("POST", "/search", b'{"inputs": {"image": "/etc/passwd"}}'),
    ("POST", "/search", b'{"inputs": {"image": {"path": "/etc/passwd"}}}'),
    ("POST", "/search", b"["),
    ("POST", "/search", b'{"text": 1, "k": -1}'),
    ("DELETE", "/search", b""),
]


async def asked(url: str, words: list[str], clients: int, seconds: float) -> None:
    """Ask, and print how it went."""
    took: list[float] = []
    failed: list[str] = []
    end = time.monotonic() + seconds
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)

    async def client(http: httpx.AsyncClient, number: int) -> None:
        while time.monotonic() < end:
            begun = time.perf_counter()
            try:
                query = {"text": words[(number + len(took)) % len(words)], "k": 10}
                answer = await http.post(f"{url}/search", json=query)
                if answer.status_code == 200:
                    took.append(time.perf_counter() - begun)
                else:
                    failed.append(f"{answer.status_code}: {answer.text:.80}")
            except httpx.HTTPError as error:
                failed.append(repr(error))

    async with httpx.AsyncClient(timeout=60, limits=limits) as http:
        await asyncio.gather(*(client(http, number) for number in range(clients)))
    parts = [f"p{p} {1e3 * np.percentile(took, p):.0f} ms" for p in (50, 95, 99)]
    rate = len(took) / seconds
    print(f"{clients} clients, {seconds:.0f} s: {rate:.0f} requests/s, {', '.join(parts)}")
    print(f"failed: {len(failed)}" + (f", such as {failed[0]}" if failed else ""))


async def slow(host: str, port: int) -> None:
    """A client that sends a letter every half second."""
    with contextlib.suppress(OSError):
        _, writer = await asyncio.open_connection(host, port)
        for letter in (
            b"POST /search HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n" + b" " * 10**6
        ):
            writer.write(bytes([letter]))
            await writer.drain()
            await asyncio.sleep(0.5)


async def hostile(url: str) -> None:
    """What must not be answered with content; for ever."""
    async with httpx.AsyncClient(timeout=60) as http:
        while True:
            for method, path, body in WRONG:
                answer = await http.request(method, url + path, content=body)
                if answer.status_code == 200 or "root:" in answer.text:
                    raise SystemExit(f"{method} {path} {body!r}: {answer.status_code}")
            with contextlib.suppress(httpx.HTTPError):  # refused before it was sent
                await http.post(f"{url}/search", content=b"x" * 100_000_000)


async def load(url: str, words: list[str], clients: int, seconds: float) -> None:
    """Without and with hostile clients."""
    await asked(url, words, clients, seconds)
    place = urlparse(url)
    others = [slow(place.hostname or "", place.port or 80) for _ in range(SLOW)]
    tasks = [asyncio.create_task(one) for one in (*others, hostile(url))]
    await asyncio.sleep(2)
    print(f"and {SLOW} slow clients, bodies of 100 MB and requests for files:")
    await asked(url, words, clients, seconds)
    if any(task.done() and task.exception() for task in tasks):
        raise SystemExit(json.dumps([str(t.exception()) for t in tasks if t.done()]))
    for task in tasks:
        task.cancel()


def main(
    url: Annotated[str, tyro.conf.Positional],
    words: tuple[str, ...],
    clients: int = 64,
    seconds: float = 60.0,
) -> None:
    """Ask a server that runs.

    Args:
        url: its address
        words: queries that it knows
        clients: that ask at the same time
        seconds: of each of the two measurements
    """
    asyncio.run(load(url.rstrip("/"), list(words), clients, seconds))


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
