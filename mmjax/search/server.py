"""A web server that answers searches of an index and predictions of a run, in batches."""

import asyncio
import base64
import binascii
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from mmjax.data.preprocessing import Preprocessing
from mmjax.data.transforms.table import TableTransform
from mmjax.data.transforms.text import TextTransform
from mmjax.errors import UserError
from mmjax.evaluation.predictions import Predictor, warnings
from mmjax.search.embedder import Embedder
from mmjax.search.index import Hit, Index
from mmjax.search.traffic import READING, Batches, Decoding, Limited

MOST = 1000  # items of one search, or rows of one prediction


def search_app(index: Index, embedder: Embedder, page: str, *, max_bytes: int, rate: int) -> Any:
    """An ASGI application: `GET /` is a page, `POST /search` answers with items.

    A request is {"text": "red heart", "k": 10}, or {"inputs": {"image": base64}, "k": 10}; the
    answer {"hits": [{"rank", "score", "name", "text"}], "notes": [...]}.

    Args:
        index: what is searched
        embedder: the run that made it
        page: HTML
        max_bytes: of a request
        rate: requests a second from one address
    """

    def answers(queries: Sequence[tuple[str, Any, int]]) -> list[list[Hit]]:
        vectors: list[Any] = [None] * len(queries)
        for modality in {modality for modality, _, _ in queries}:
            rows = [row for row, query in enumerate(queries) if query[0] == modality]
            found = embedder(modality, [queries[row][1] for row in rows])
            for row, vector in zip(rows, found, strict=True):
                vectors[row] = vector
        hits = index.all_hits(np.stack(vectors), max(k for _, _, k in queries))
        return [found[:k] for found, (_, _, k) in zip(hits, queries, strict=True)]

    batches, decoding, whole = Batches(answers), Decoding(), page.encode()

    def read(content: Mapping[str, Any]) -> tuple[tuple[str, Any, int], list[str]]:
        k = content.get("k", 10)
        if type(k) is not int or not 1 <= k <= MOST:
            raise UserError(f"k: expected 1 to {MOST}, got {k!r:.100}")
        inputs = content.get("inputs")
        if "text" in content:
            inputs = {embedder.only(TextTransform, "inputs"): content["text"]}
        if not isinstance(inputs, dict) or len(inputs) != 1:
            raise UserError(
                'expected {"text": ...} or {"inputs": {modality: ...}} with one of them'
            )
        ((modality, cell),) = inputs.items()
        value = embedder.read(modality, _cell(embedder.preprocessing, modality, cell))
        notes = embedder.preprocessing.transforms[modality].remarks(value)
        return (modality, value, k), [f"{modality}: {note}" for note in notes]

    async def search(request: Request) -> Response:
        query, notes = await decoding(read, await _content(request, max_bytes))
        hits = await batches(query)
        return JSONResponse({"hits": [hit._asdict() for hit in hits], "notes": notes})

    async def home(request: Request) -> Response:
        return HTMLResponse(whole)

    routes = [Route("/", home), Route("/search", search, methods=["POST"])]
    return _app(routes, batches, rate)


def predict_app(predictor: Predictor, *, max_bytes: int, rate: int) -> Any:
    """An ASGI application: `GET /` says what the run reads, `POST /predict` answers.

    A request is {"rows": [{"image": base64 of a file, "text": "...", "table": {...}}, ...]}; the
    answer {"predictions": [...], "notes": [[...], ...]}, one for each row. Arguments as of
    `search_app`.
    """
    preprocessing = predictor.preprocessing
    batches, decoding = Batches(predictor), Decoding()

    def read(content: Mapping[str, Any]) -> list[dict[str, Any]]:
        rows = content.get("rows")
        if not isinstance(rows, list) or not 1 <= len(rows) <= MOST:
            raise UserError(f'expected {{"rows": [...]}} with 1 to {MOST} rows')
        return [_row(predictor, row) for row in rows]

    async def predict(request: Request) -> Response:
        rows = await decoding(read, await _content(request, max_bytes))
        answers = await batches.all(rows)
        notes = [warnings(preprocessing, row) for row in rows]
        return JSONResponse({"predictions": answers, "notes": notes})

    async def home(request: Request) -> Response:
        kinds = {n: type(one).__name__ for n, one in preprocessing.transforms.items()}
        return JSONResponse({"modalities": kinds, "post": "/predict"})

    routes = [Route("/", home), Route("/predict", predict, methods=["POST"])]
    return _app(routes, batches, rate)


def _app(routes: list[Route], batches: Batches, rate: int) -> Any:
    @contextlib.asynccontextmanager
    async def running(app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(batches.run())
        yield
        task.cancel()

    def refused(request: Request, error: Exception) -> Response:
        return JSONResponse({"error": str(error)}, 422)

    def failed(request: Request, error: Exception) -> Response:
        known = error if isinstance(error, HTTPException) else HTTPException(500)
        return JSONResponse({"error": known.detail}, known.status_code, known.headers)

    app = Starlette(
        routes=routes,
        lifespan=running,
        exception_handlers={UserError: refused, HTTPException: failed, Exception: failed},
    )
    return Limited(app, rate)


async def _content(request: Request, limit: int) -> dict[str, Any]:
    """The JSON object of a request."""
    body = bytearray()
    try:
        async with asyncio.timeout(READING):
            async for part in request.stream():
                body += part
                if len(body) > limit:
                    raise HTTPException(413, f"expected at most {limit:,} bytes")
    except TimeoutError:
        raise HTTPException(408, f"expected a request within {READING:.0f} s") from None
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"expected JSON: {error!s:.200}") from None
    if not isinstance(content, dict):
        raise HTTPException(400, f"expected a JSON object, got {type(content).__name__}")
    return content


def _row(predictor: Predictor, row: Any) -> dict[str, Any]:
    preprocessing, columns = predictor.preprocessing, predictor.columns
    if not isinstance(row, dict):
        raise UserError(f"rows: expected objects, got {type(row).__name__}")
    found = {}
    for name, cell in row.items():
        if cell is None:
            continue
        reader = columns.get(name) or preprocessing.transforms.get(name)
        value = _cell(preprocessing, name, cell)
        found[name] = value if isinstance(value, dict) else reader.read(value, Path())  # type: ignore[reportOptionalMemberAccess]
        preprocessing({name: [found[name]]})
    return found


def _cell(preprocessing: Preprocessing, modality: str, cell: Any) -> Any:
    """What a reader may see: a text, an object, or the bytes of a file; never a path."""
    if modality not in preprocessing.transforms:
        choices = ", ".join(sorted(preprocessing.transforms))
        raise UserError(f"unknown modality {modality!r:.100}: choose from {choices}")
    transform = preprocessing.transforms[modality]
    if isinstance(transform, TableTransform):
        if not isinstance(cell, dict):
            raise UserError(f"{modality}: expected an object, got {type(cell).__name__}")
        return cell
    if not isinstance(cell, str):
        raise UserError(f"{modality}: expected a text, got {type(cell).__name__}")
    if isinstance(transform, TextTransform):
        return cell
    try:
        return base64.b64decode(cell.partition("base64,")[2] or cell, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UserError(f"{modality}: expected base64 of a file: {error}") from None
