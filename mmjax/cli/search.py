"""`mmjax search`: the items of an index that are nearest to a text, a picture or another input."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from mmjax.cli import options, tables
from mmjax.errors import UserError

if TYPE_CHECKING:
    from mmjax.search import Embedder


def search(
    index: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(help="the folder of an index")],
    query: Annotated[
        str | None, tyro.conf.Positional, tyro.conf.arg(help="what to look for, in words")
    ] = None,
    /,
    k: Annotated[int, tyro.conf.arg(aliases=["-k"])] = 10,
    image: str | None = None,
    input: str | None = None,
    html: Path | None = None,
    run: Path | None = None,
    checkpoint: str = "last",
    own: options.Own = (),
    json: bool = False,
    csv: bool = False,
) -> None:
    """Print the nearest items of an index, or write a page that searches it without a server.

    Args:
        k: how many
        image: a picture to look for, instead of words
        input: name=value of another modality to look for: the path of a WAV or .npy file
        html: write this page, which holds the index, thumbnails and the words of the run
        run: the run that made the index, if its folder was moved
        checkpoint: that made the index
        json: print one JSON object for each item
        csv: print CSV instead
    """
    from mmjax.data.transforms.image import ImageTransform
    from mmjax.data.transforms.text import TextTransform
    from mmjax.evaluation.predictions import split_inputs
    from mmjax.search import Index, page
    from mmjax.search.embedder import of_index

    tables.require_one(json, csv)
    given = [one for one in (query, image, input) if one is not None]
    if len(given) > 1 or not (given or html):
        raise UserError("search: expected words, --image, --input or --html, one of them")
    if k < 1:
        raise UserError(f"-k: expected at least 1, got {k}")
    options.prepare_process(own)
    opened = Index.open(index)
    embedder: Embedder = of_index(opened, index, run, checkpoint)
    if html is not None:
        size = page.write(html, opened, index, embedder)
        print(f"{html}: {len(opened):,} items, {size / 1e6:.1f} MB", file=sys.stderr)
    if not given:
        return
    if input is not None:
        ((modality, value),) = split_inputs([input]).items()
    elif image is not None:
        modality, value = embedder.only(ImageTransform, "--input"), image
    else:
        modality, value = embedder.only(TextTransform, "--input"), given[0]
    if k > len(opened):
        print(f"-k {k}: the index has {len(opened)} items, all are shown", file=sys.stderr)
    read = embedder.read(modality, value)
    for remark in embedder.preprocessing.transforms[modality].remarks(read):
        print(f"{modality}: {remark}", file=sys.stderr)
    hits = opened.hits(embedder(modality, [read])[0], k)
    if csv:
        tables.print_rows([hit._asdict() for hit in hits])
        return
    for hit in hits:
        if json:
            tables.print_json(hit._asdict())
        else:
            text = "" if hit.text is None else f"  {hit.text}"
            print(f"{hit.rank:>4}  {hit.score:+.4f}  {hit.name}{text}")
