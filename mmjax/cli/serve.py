"""`mmjax serve`: a web server for an index, a run or an exported model."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from mmjax.cli import options
from mmjax.errors import MissingFileError, MissingPackageError, UserError


def serve(
    folder: Annotated[
        Path, tyro.conf.Positional, tyro.conf.arg(help="an index, a run or an exported model")
    ],
    /,
    host: str = "127.0.0.1",
    port: int = 8000,
    max_mb: float = 10.0,
    rate: int = 100,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    run: Path | None = None,
    checkpoint: str = "last",
    own: options.Own = (),
) -> None:
    """Answer searches of an index (POST /search, and a page), or predictions (POST /predict).

    Args:
        host: address to listen on; by default this machine alone can ask
        port: 0: any that is free
        max_mb: largest request, in megabytes
        rate: requests a second that one address may send; more are refused
        tls_cert: PEM file of a certificate, with its chain; then the server speaks HTTPS
        tls_key: PEM file of its private key
        run: the run that made the index, if its folder was moved
        checkpoint: as in mmjax predict
    """
    try:
        import uvicorn

        from mmjax.search import server, traffic
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"mmjax serve needs an extra: pip install 'mmjax[serve]' ({error.name} is missing)"
        ) from None
    from mmjax.evaluation.predictions import Predictor
    from mmjax.export import predictor as exported
    from mmjax.search import Index, page
    from mmjax.search.embedder import of_index
    from mmjax.search.index import FILE

    for flag, value in (("--max-mb", max_mb), ("--rate", rate)):
        if value <= 0:
            raise UserError(f"{flag}: expected above 0, got {value}")
    if (tls_cert is None) != (tls_key is None):
        raise UserError("--tls-cert: expected --tls-key beside it, or neither")
    for flag, file in (("--tls-cert", tls_cert), ("--tls-key", tls_key)):
        if file is not None and not file.is_file():
            raise MissingFileError(f"{flag} {file}: expected a PEM file, got no file")
    options.prepare_process(own)
    limits = {"max_bytes": int(max_mb * 1e6), "rate": rate}
    if (folder / FILE).exists():
        index = Index.open(folder)
        embedder = of_index(index, folder, run, checkpoint)
        app = server.search_app(index, embedder, page.page_of(index, folder, embedder), **limits)
    else:
        predictor = exported(folder) if folder.is_file() else Predictor(folder, checkpoint)
        app = server.predict_app(predictor, **limits)
    print(f"{folder}: http{'s' if tls_cert else ''}://{host}:{port}/", file=sys.stderr)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        timeout_keep_alive=5,
        h11_max_incomplete_event_size=32_768,
        http=traffic.Impatient,
        ws="none",
        ssl_certfile=tls_cert,
        ssl_keyfile=tls_key,
    )
    uvicorn.Server(config).run()
