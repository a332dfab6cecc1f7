"""Which digits were said, one after the other? Speech to a sequence of words.

One to four recordings of one person from the Free Spoken Digit Dataset (8 kHz), joined with short
pauses; test sequences are of the official test recordings, by the same six people. A Transformer
reads the spectrogram; the words are written by an LSTM or Transformer decoder, or found by
connectionist temporal classification (CTC).

    python experiments/spoken_numbers.py --manual-dir DIR
    python experiments/spoken_numbers.py --manual-dir DIR --fast    # does it run?

where DIR holds free-spoken-digit-dataset.tar.gz; writes the table, the runs and results.json to
runs/spoken_numbers; the same command goes on where it was stopped. Word error rate (3 seeds): LSTM
2.12 ± 0.31 %, Transformer 2.31 ± 0.70 %, CTC 4.15 ± 0.60 %; about 10 minutes for the three seeds of
a writer, on two CPU cores that other work shared.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import tyro
from flax import linen as nn
from food_table import members
from scipy.io import wavfile

import mmjax
from mmjax.config.sweep import Point
from mmjax.data.tables import columns
from mmjax.devices import compilation_cache
from mmjax.evaluation.evaluate import evaluate
from mmjax.io import json_file
from mmjax.train.loop.many_runs import fit_many

ARCHIVE = "free-spoken-digit-dataset.tar.gz"
RATE = 8000  # Hz
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
ROWS = {"train": 10_000, "validation": 300, "test": 1000}
MOST = 4  # digits of a sequence
PAUSE = 0.1  # seconds, the longest
SECONDS = 2.6  # longer sequences are cut, so none is made

Clips = dict[str, dict[str, list[tuple[int, np.ndarray]]]]  # by split and speaker: digit, samples


def clips(path: Path) -> Clips:
    """The recordings; the indices 0 to 4 are the official test split."""
    found: Clips = {split: {} for split in ROWS}
    for name, content in members(path, r".*recordings/\d_[a-z]+_\d+\.wav"):
        digit, speaker, index = Path(name).stem.split("_")
        split = "test" if int(index) < 5 else "validation" if int(index) < 8 else "train"
        _, samples = wavfile.read(io.BytesIO(content))
        found[split].setdefault(speaker, []).append((int(digit), samples))
    return found


def sequence(own: Sequence[tuple[int, np.ndarray]], rng: np.random.Generator) -> tuple[bytes, str]:
    """A WAV file of some recordings, and what is said."""
    while True:
        chosen = [own[place] for place in rng.integers(len(own), size=rng.integers(1, MOST + 1))]
        parts = []
        for _, samples in chosen:
            pause = np.zeros(int(rng.uniform(0, PAUSE) * RATE), np.int16)
            parts += [samples.astype(np.int16), pause]
        joined = np.concatenate(parts)
        if len(joined) <= SECONDS * RATE:
            file = io.BytesIO()
            wavfile.write(file, RATE, joined)
            return file.getvalue(), " ".join(DIGITS[digit] for digit, _ in chosen)


def write_table(manual_dir: Path, out: Path, seed: int = 0, share: float = 1.0) -> None:
    """Write rows.parquet: sound, said, split; of ROWS this share."""
    out.mkdir(parents=True, exist_ok=True)
    rng, found = np.random.default_rng(seed), clips(manual_dir / ARCHIVE)
    rows = []
    for split, count in ROWS.items():
        speakers = sorted(found[split])
        for _ in range(round(share * count)):
            sound, said = sequence(found[split][speakers[rng.integers(len(speakers))]], rng)
            rows.append({"sound": sound, "said": said, "split": split})
    draft = out / "draft.parquet"
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), draft)
    draft.replace(out / "rows.parquet")


def experiment(data: mmjax.data.TableData, writer: str, steps: int) -> mmjax.Experiment:
    """A Transformer on the spectrogram, and one of three ways to words."""
    kind: Any = data.preprocessing().targets["said"]
    known = {"vocabulary_size": kind.vocabulary_size}
    decoder: dict[str, Any] = {"target": "said", "length": kind.max_words, "width": 96, **known}
    heads: dict[str, nn.Module] = {
        "lstm": mmjax.heads.LstmDecoder(**decoder, dropout=0.1),
        "transformer": mmjax.heads.TransformerDecoder(**decoder, dropout=0.1),
        "ctc": mmjax.heads.TokenWords(**known),
    }
    loss = mmjax.objectives.TextCrossEntropy
    speech = mmjax.encoders.AudioTransformer(
        sample_rate=RATE, hop=0.016, mels=40, patch=4, dim=96, layers=3, dropout=0.1
    )
    return mmjax.Experiment(
        model=mmjax.Multimodal(
            encoders={"sound": speech},
            fusion=mmjax.fusion.Early(layers=1, dim=96),
            heads={"said": heads[writer]},
        ),
        objectives={
            "said": (mmjax.objectives.Ctc if writer == "ctc" else loss)(
                output="said", target="said"
            )
        },
        data=data,
        optim=mmjax.optim.AdamW(peak_lr=1e-3, weight_decay=0.1),
        steps=steps,
        batch_size=64,
        keeping=mmjax.Keeping(eval_every=steps, log_every=250, keep=1),
    )


def main(
    manual_dir: Path,
    fast: bool = False,
    writers: tuple[Literal["lstm", "transformer", "ctc"], ...] = ("lstm", "transformer", "ctc"),
    seeds: int = 3,
    steps: int = 1000,
    workdir: Path = Path("runs/spoken_numbers"),
) -> None:
    """Train each writer and print a table of word error rates.

    Args:
        manual_dir: folder with the archive
        fast: one writer, 2 seeds, 30 steps and a tenth of the sequences
        writers: lstm, transformer, ctc
        seeds: trainings of each, at least 2
        steps: steps of each training
        workdir: the folder for the table, the runs and the results
    """
    compilation_cache.enable()
    if fast:
        writers, seeds, steps = writers[:1], 2, 30
        workdir = workdir.with_name(f"{workdir.name}_fast")
    if not (workdir / "rows.parquet").exists():
        write_table(manual_dir, workdir, share=0.1 if fast else 1.0)
    data = mmjax.data.TableData(
        file="rows.parquet",
        data_dir=str(workdir),
        columns={
            "sound": columns.SoundColumn(sample_rate=RATE, max_samples=int(SECONDS * RATE)),
            "said": columns.TextTargetColumn(),
        },
        split="split",
    )
    data.prepare()
    results: dict[str, list[Mapping[str, float]]] = {}
    for writer in writers:
        home = workdir / writer
        runs = fit_many([Point({}, experiment(data, writer, steps))], home, seeds=seeds)
        results[writer] = [evaluate(home / run.name) for run in runs]
    json_file.write(workdir / "results.json", {"steps": steps, "results": results})
    print("| words from | word error rate, % | whole sequences right, % |")
    print("| --- | --- | --- |")
    for writer, found in results.items():
        cells = [_spread(found, f"said/{name}") for name in ("word_error_rate", "exact_match")]
        print(f"| {writer} | {' | '.join(cells)} |")


def _spread(found: Sequence[Mapping[str, float]], metric: str) -> str:
    values = 100 * np.array([one[metric] for one in found])
    spread = f" ± {values.std(ddof=1):.2f}" if len(values) > 1 else ""
    return f"{values.mean():.2f}{spread}"


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
