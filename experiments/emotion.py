"""Planted utterances: how does somebody feel who is seen and heard? A score of -3 to 3 for each.

By default the data are planted, of known optimum, in the layout of CMU-MOSI and CMU-MOSEI: features
of words, voice and face of utterances in videos. What is said counts the other way round where the
voice is sarcastic, the face shows a mood that lasts a video, and the utterances around show it too:
score = 0.8 (1 - 2 sarcasm) words + 0.6 mood + noise, so that no model has a mean absolute error
below 0.239.

    python experiments/emotion.py
    python experiments/emotion.py --fast                  # does it run?
    python experiments/emotion.py --file mosi.npz         # features of yours, see data.Utterances
    python experiments/emotion.py --raw table.csv         # columns text, audio, video, score
    python experiments/emotion.py --ahead 1               # the score of the next utterance
    python experiments/emotion.py --target class          # of seven; or positive: yes or no

The table with its spread over 3 seeds: experiments/README.md.
"""

import dataclasses
from pathlib import Path
from typing import Any, Literal

import numpy as np
import scipy.stats
import study
import tyro

import mmjax
from mmjax import fusion
from mmjax.assemble import parts
from mmjax.data.tables import columns
from mmjax.devices import compilation_cache

FUSIONS = {
    "concat": fusion.Concat(),
    "gated": fusion.Gated(),
    "low_rank": fusion.LowRank(),
    "cross_attention": fusion.CrossAttention(),
}
NOISE = 0.3  # of the planted scores
Kind = Literal["score", "positive", "class"]
# Of each target: its head, objective and column, and what is measured.
TARGETS: dict[Kind, dict[str, Any]] = {
    "score": {
        "head": mmjax.heads.Number(hidden=(64,)),
        "objective": mmjax.objectives.SquaredError(output="score", target="score", sentiment=True),
        "metric": "mae",
        "higher": False,
        "more": ("acc2_positive", "acc2_nonnegative", "f1_positive", "acc7", "correlation"),
    },
    "positive": {
        "head": mmjax.heads.Logit(hidden=(64,)),
        "objective": mmjax.objectives.BinaryCrossEntropy(output="positive", target="positive"),
        "metric": "accuracy",
        "more": ("f1", "auroc"),
    },
    "class": {
        "head": mmjax.heads.Classes(classes=7, hidden=(64,)),
        "objective": mmjax.objectives.SoftmaxCrossEntropy(output="class", target="class"),
        "metric": "accuracy",
        "more": ("balanced_accuracy", "macro_f1"),
    },
}
COLUMNS: dict[Kind, Any] = {
    "score": columns.NumberColumn(),
    "positive": columns.BinaryColumn(),
    "class": columns.ClassColumn(),
}


def write_planted(path: Path, videos: int = 240, seed: int = 0) -> None:
    """Write the planted utterances as an `.npz` file of padded arrays; nobody spoke them."""
    random = np.random.RandomState(seed)  # its numbers never change
    lengths = random.randint(6, 13, videos)
    video = np.repeat(np.arange(videos), lengths)
    count = len(video)
    words, mood = random.uniform(-2, 2, count), np.repeat(random.uniform(-1, 1, videos), lengths)
    sarcasm = random.random_sample(count) < 0.25
    known = 0.8 * np.where(sarcasm, -words, words) + 0.6 * mood
    score = known + NOISE * random.randn(count)
    text, audio, vision = (
        random.randn(count, tokens, features) for tokens, features in ((12, 16), (40, 8), (20, 6))
    )
    for row in range(count):  # three words carry what is said
        text[row, random.choice(5, 3, replace=False), :4] += words[row]
    audio[:, :, 0] += 2 * sarcasm[:, None] - 1
    vision[:, :, 0] = mood[:, None] + 2 * vision[:, :, 0]
    for values, least in ((text, 5), (audio, 20), (vision, 10)):
        length = random.randint(least, values.shape[1] + 1, count)
        values[np.arange(values.shape[1])[None] >= length[:, None]] = 0  # padding
    np.savez(
        path,
        text=text.astype(np.float32),
        audio=audio.astype(np.float32),
        vision=vision.astype(np.float32),
        score=np.clip(score, -3, 3),
        known=known,
        video=video,
        position=np.concatenate([np.arange(n) for n in lengths]),
    )


def best(file: Path, target: Kind) -> float:
    """What who knows everything but the noise scores in the mean, over all planted utterances."""
    if target == "score":
        return float(NOISE * np.sqrt(2 / np.pi))
    with np.load(file) as planted:
        known = planted["known"]
    edges = np.arange(-2.5, 3) if target == "class" else np.zeros(1)
    below = scipy.stats.norm.cdf(edges, known[:, None], NOISE)
    chances = np.diff(below, axis=1, prepend=0.0, append=1.0)
    return float(np.mean(chances.max(axis=1)))


def of_features(data: mmjax.data.Utterances, target: Kind, steps: int) -> study.Study:
    """The models of tables of features."""
    names = [*data.modalities, *(["context"] if data.context else [])]
    # A GRU that reads the utterances around in their order learned less (experiments/README.md).
    encoders = {name: mmjax.encoders.Features(dim=32, hidden=(32,)) for name in names}
    return _study(data, encoders, target, steps)


def of_recordings(table: Path, target: Kind, steps: int) -> study.Study:
    """The models of recordings and transcripts."""
    data: Any = mmjax.data.TableData(
        file=table.name,
        data_dir=str(table.parent),
        columns={
            "text": columns.TextColumn(),
            "audio": columns.SoundColumn(),
            target: COLUMNS[target],
        },
        group="video",
    ).using("text", "audio")
    data.prepare()
    transforms = data.preprocessing().transforms
    encoders = {name: parts.encoder(one, ordered=True) for name, one in transforms.items()}
    return _study(data, encoders, target, steps)


def _study(data: Any, encoders: Any, target: Kind, steps: int) -> study.Study:
    return study.Study(
        data=data, encoders=encoders, fusions=FUSIONS, steps=steps, **TARGETS[target]
    )


def main(
    fast: bool = False,
    file: Path | None = None,
    raw: Path | None = None,
    target: Kind = "score",
    context: int = 3,
    ahead: int = 0,
    seeds: int = 3,
    steps: int = 600,
    workdir: Path = Path("runs/emotion"),
) -> None:
    """Train every model without and with the utterances around, and print both tables.

    Args:
        fast: 2 seeds, 30 steps and one fusion
        file: a table of features instead of the planted one
        raw: a table of transcripts and recordings, with a column named as the target; no utterances
            around
        target: a number, whether it is above 0 (those of 0 do not count), or its nearest whole
            number as a class
        context: how many utterances before and after are shown in the second table
        ahead: whose score is predicted: 0 its own, 1 that of the next utterance
        seeds: trainings of each model
        steps: of each training
        workdir: the folder for the runs and the results
    """
    compilation_cache.enable()
    if fast:
        study.compile_quickly()
        seeds, workdir = 2, workdir.with_name(f"{workdir.name}_fast")
    workdir.mkdir(parents=True, exist_ok=True)
    percent = target != "score"
    end = "" if target == "score" else f"-{target}"
    if raw is not None:
        one = of_recordings(raw, target, steps)
        one = one.shortened() if fast else one
        scores = study.run(one, workdir / f"raw{end}", seeds)
        print(study.markdown(scores, percent=percent))
        return
    metric = TARGETS[target]["metric"]
    if file is None:
        file = workdir / "planted.npz"
        if not file.exists():
            write_planted(file)
        print(f"planted data: the best possible {metric} of its own {target} is ", end="")
        print(f"{best(file, target):.1%}" if percent else f"{best(file, target):.3f}")
    end += f"-{ahead}-ahead" if ahead else ""
    alone = mmjax.data.Utterances(file=file.name, data_dir=str(file.parent), ahead=ahead)
    around = dataclasses.replace(alone, context=context)
    for name, data in (("the utterance itself", alone), (f"with {context} around", around)):
        if fast and data is alone:
            continue
        one = of_features(data, target, steps)
        home = f"{name.replace(' ', '-')}{end}"
        scores = study.run(one.shortened() if fast else one, workdir / home, seeds)
        table = study.markdown(scores, percent=percent)
        (workdir / f"{home}.md").write_text(table + "\n", encoding="utf-8")
        print(f"\n{name}: {metric}, and other metrics\n\n{table}")


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
