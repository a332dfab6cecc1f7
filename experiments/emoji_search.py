"""Which picture does a word mean? Search of 1,900 emoji that were never seen, by their keywords.

A dual encoder learns from pictures (Fluent Emoji 3D, 32 x 32) and their names and tags
(emojibase). Two splits: by subgroup, so that nothing like a test picture is trained on, and by
concept, so that a man and a woman of one job stay together. Against chance, the nearest training
picture by colour and HOG (Dalal and Triggs 2005), and ridge regression from these to words.

    npm pack emojibase-data@17.0.0 && npm pack @lobehub/fluent-emoji-3d@1.1.0
    python experiments/emoji_search.py --manual-dir .

writes rows.csv with its pictures, the runs and results.json to runs/emoji_search; the same command
goes on where it was stopped. A run can then be searched: mmjax index, mmjax search.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from csv import DictReader, DictWriter
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from food_table import members
from PIL import Image

import mmjax
from mmjax.config.sweep import Point
from mmjax.data.tables import columns
from mmjax.devices import compilation_cache
from mmjax.io import json_file
from mmjax.metrics.retrieval import average_precisions
from mmjax.search import Embedder
from mmjax.train.loop.many_runs import fit_many

WORDS, PICTURES = "emojibase-data-17.0.0.tgz", "lobehub-fluent-emoji-3d-1.1.0.tgz"
SIDE = 32
SPLITS = ("subgroup", "concept")
PEOPLE = re.compile(r"\b(man|men|woman|women|person|people|boy|girl|child|s)\b")
RIDGES = (0.1, 1.0, 10.0, 100.0)  # penalties, chosen by the validation pictures


def write_table(manual_dir: Path, out: Path, languages: Sequence[str]) -> None:
    """Write rows.csv, a row for each emoji and language, and a folder of pictures to `out`."""
    (out / "pictures").mkdir(parents=True, exist_ok=True)
    pictures = {
        Path(name).stem.upper(): content
        for name, content in members(manual_dir / PICTURES, r"package/assets/[0-9a-f-]+\.webp")
    }
    pattern = rf"package/({'|'.join(map(re.escape, languages))})/data\.json"
    texts = {name.split("/")[1]: content for name, content in members(manual_dir / WORDS, pattern)}
    if missing := [one for one in languages if one not in texts]:
        raise mmjax.UserError(f"--languages: {WORDS} has no {', '.join(missing)}")
    draft = out / "draft.csv"
    with draft.open("w", newline="", encoding="utf-8") as file:
        fields = ("image", "words", "code", "language", "subgroup", "concept")
        writer: DictWriter[str] = DictWriter(file, fields)
        writer.writeheader()
        for language, text in texts.items():
            for one in json.loads(text):
                code = str(one["hexcode"])
                if "subgroup" not in one or code not in pictures:
                    continue  # parts of emoji, such as a skin colour alone
                picture = f"pictures/{code}.webp"
                (out / picture).write_bytes(pictures[code])
                words = "; ".join([one["label"], *one.get("tags", ())])
                concept = "-".join(part for part in code.split("-") if part not in SKIP)
                row = {"image": picture, "words": words, "code": code, "language": language}
                writer.writerow(row | {"subgroup": one["subgroup"], "concept": concept})
    draft.replace(out / "rows.csv")
