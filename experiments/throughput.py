"""Does the data pipeline keep up? Examples per second of it, of others, and of the step it feeds.

    python experiments/throughput.py columns --manual-dir DIR
    python experiments/throughput.py pictures
    python experiments/throughput.py memory

`columns`: MNIST match, held in memory, batch 128, and the training step. `pictures`: made-up JPEG
files of 400 x 300, read at 224 x 224, by 0, 1 and 2 workers: by mmjax, by Grain and, if it is
installed, by PyTorch's DataLoader, which take turns; then from prepared shards. The table data set
of mmjax decodes a file once, when it is prepared; here a source that decodes in every epoch stands
for it, so that the same work is compared. `memory`: peak memory of a training on 20,000 and 200,000
pictures, which are more than it may hold. About 5 minutes each; results: experiments/README.md.
"""

import concurrent.futures
import dataclasses
import functools
import itertools
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from mnist_match import experiment
from PIL import Image

import mmjax
from mmjax import train_batches
from mmjax.data import Examples, Preprocessing, Source
from mmjax.data.tables.columns import BinaryColumn, ImageColumn
from mmjax.data.targets import Binary
from mmjax.data.transforms.image import ImageTransform
from mmjax.devices import cpu, parallel
from mmjax.types import MetricName

SIDE = 224  # pixels
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BATCH = 32  # pictures
STEPS = 200  # of the training whose memory is measured


def rate(work: Callable[[], None], examples: int) -> float:
    """Examples per second of `work`, called once to warm up and once to measure."""
    work()
    begin = time.perf_counter()
    work()
    return examples / (time.perf_counter() - begin)


def columns(
    manual_dir: str | None = None, data_dir: str | None = None, steps: int = 30, seed: int = 0
) -> None:
    """Measure the pipeline on columns in memory, and training steps.

    Args:
        manual_dir: folder with the four official IDX files; none: they are downloaded
        data_dir: where prepared data sets lie
        steps: training steps to measure; the pipeline makes ten times as many batches
        seed: of the order, the captions and the parameters
    """
    data = dataclasses.replace(experiment.data, manual_dir=manual_dir, data_dir=data_dir)
    size = experiment.batch_size
    parallel.request_host_devices(size, None)
    mesh = parallel.choose(size)
    data.prepare()
    preprocessing, source = data.preprocessing(), data.source("train")
    stream = functools.partial(
        train_batches, data, source, preprocessing, batch_size=size, seed=seed, start=0
    )
    tx = experiment.optim.chain(experiment.steps)
    batch = next(stream())
    step = functools.partial(
        mmjax.train_step, model=experiment.model, objectives=experiment.objectives, tx=tx
    )
    update = parallel.WRAPPERS[experiment.compute.parallel](step, mesh)
    start = mmjax.create_state(experiment.model, tx, batch, seed=seed)
    start = parallel.replicate(start, mesh)

    def read() -> None:
        for _ in itertools.islice(stream(), 10 * steps):
            pass

    def train() -> None:
        state = start
        for _ in range(steps):
            state, sums = update(state, batch)
        sums[MetricName("match", "loss")].mean().block_until_ready()

    pipeline, training = rate(read, 10 * steps * size), rate(train, steps * size)
    print(f"pipeline {pipeline:,.0f} examples/s")
    print(f"training {training:,.0f} examples/s on {mesh.size} {mesh.devices.flat[0].platform}")
    print(f"the pipeline is {pipeline / training:.0f} times as fast")


class Files(Source):
    """Pictures that are decoded whenever they are read."""

    def __init__(self, paths: Sequence[Path], transform: ImageTransform) -> None:
        self._paths, self._transform = paths, transform

    def __len__(self) -> int:
        return len(self._paths)

    @property
    def threads(self) -> int:
        return min(os.cpu_count() or 1, 8)

    def read(self, indices: np.ndarray, rng: Any, own: slice = slice(None)) -> Examples:
        """Pixels."""
        paths = [self._paths[place] for place in indices[own]]
        pixels = [self._transform.read(path.name, path.parent) for path in paths]
        return Examples({"image": pixels}, {"label": [1] * len(pixels)})


def from_files(data: mmjax.data.TableData, paths: Sequence[Path], workers: int) -> Iterator[Any]:
    """Batches of mmjax; `data`: only asked whether it changes them."""
    transform = ImageTransform((SIDE, SIDE, 3), MEAN, STD)
    preprocessing = Preprocessing({"image": transform}, {"label": Binary()})
    source = Files(paths, transform)
    return train_batches(
        data, source, preprocessing, batch_size=BATCH, seed=0, start=0, workers=workers
    )


def decoded(path: Path) -> np.ndarray:
    """The steps that a tutorial has: float32 `[height, width, channel]`."""
    image = Image.open(path).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    values = np.asarray(image).astype(np.float32) / 255
    return (values - np.array(MEAN, np.float32)) / np.array(STD, np.float32)


def from_grain(paths: Sequence[Path], workers: int) -> Iterator[Any]:
    """Batches of Grain: 16 threads, or worker processes."""
    import grain
    from absl import flags

    flags.FLAGS(["grain"])  # Grain reads flags that only an absl program parses
    data = grain.MapDataset.source(list(paths)).shuffle(seed=0).repeat().map(decoded).batch(BATCH)
    batches = data.to_iter_dataset()
    if workers:
        batches = batches.mp_prefetch(grain.MultiprocessingOptions(num_workers=workers))
    return iter(batches)


class Tensors:
    """A data set for PyTorch, with the steps of torchvision: resize, to tensor, normalise."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, place: int) -> Any:
        import torch  # type: ignore[reportMissingImports]

        image = Image.open(self._paths[place]).convert("RGB")
        pixels = np.array(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
        tensor = torch.from_numpy(pixels).permute(2, 0, 1).contiguous().float().div(255)
        return tensor.sub_(torch.tensor(MEAN)[:, None, None]).div_(torch.tensor(STD)[:, None, None])


def from_torch(paths: Sequence[Path], workers: int) -> Iterator[Any]:
    """Batches of PyTorch's DataLoader."""
    from torch.utils.data import DataLoader  # type: ignore[reportMissingImports]

    more: dict[str, Any] = {"multiprocessing_context": "spawn", "persistent_workers": True}
    data: Any = Tensors(paths)
    loader = DataLoader(data, BATCH, shuffle=True, num_workers=workers, **more if workers else {})
    return itertools.chain.from_iterable(itertools.repeat(loader))


def draw(folder: Path, count: int) -> list[Path]:
    """Write smooth pictures, about as many bytes as photographs have, and a table of them."""
    rng = np.random.default_rng(0)
    names = [f"{number:05d}.jpg" for number in range(count)]
    for name in names:
        coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8))
        coarse.resize((400, 300), Image.Resampling.BICUBIC).save(folder / name, quality=90)
    rows = "".join(f"{name},{number % 2}\n" for number, name in enumerate(names))
    (folder / "rows.csv").write_text("image,label\n" + rows)
    return [folder / name for name in names]


def speed(batches: Iterator[Any], seconds: float) -> tuple[float, float]:
    """Examples per second of a stream that has been read for a while; ms of CPU here for each."""
    for _ in range(8):
        next(batches)
    begin, count, used = time.perf_counter(), 0, time.process_time()
    while (spent := time.perf_counter() - begin) < seconds:
        next(batches)
        count += BATCH
    return count / spent, 1000 * (time.process_time() - used) / count


def pictures(
    count: int = 2000,
    seconds: float = 4.0,
    rounds: int = 3,
    workers: tuple[int, ...] = (0, 1, 2),
    peers: tuple[str, ...] = ("grain", "torch"),
) -> None:
    """Measure the reading of pictures from files and from prepared shards.

    Args:
        count: pictures
        seconds: length of one measurement
        rounds: measurements of each side; the median counts
        workers: processes that decode; 0: threads
        peers: the others
    """
    cpu.keep_memory()  # as scripts of mmjax do; of the other sides too
    with tempfile.TemporaryDirectory() as folder:
        paths = draw(Path(folder), count)
        size = statistics.mean(path.stat().st_size for path in paths) / 1000
        print(f"{count:,} JPEG files of 400 x 300 pixels, {size:.0f} kB each, batches of {BATCH}")
        picture, label = ImageColumn(size=(SIDE, SIDE)), BinaryColumn()
        data = mmjax.data.TableData(
            "rows.csv", folder, {"image": picture, "label": label}, memory=0.0, prepared=folder
        )
        begin = time.perf_counter()
        data.prepare()
        print(f"prepared once: {count / (time.perf_counter() - begin):,.0f} examples/s")
        source, preprocessing = data.source("train"), data.preprocessing()
        for number in workers:
            sides: dict[str, Callable[[], Iterator[Any]]] = {
                "files, mmjax": lambda n=number: from_files(data, paths, n),
                "shards, mmjax": lambda n=number: train_batches(
                    data, source, preprocessing, batch_size=BATCH, seed=0, start=0, workers=n
                ),
            }
            if "grain" in peers:
                sides["files, Grain"] = lambda n=number: from_grain(paths, n)
            if "torch" in peers:
                sides["files, PyTorch"] = lambda n=number: from_torch(paths, n)
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
            for _ in range(rounds):
                for name, start in sides.items():
                    found[name].append(speed(start(), seconds))
            ours = found["files, mmjax"]
            for name, values in found.items():
                times = statistics.median(b[0] / a[0] for a, b in zip(ours, values, strict=True))
                middle, used = (statistics.median(column) for column in zip(*values, strict=True))
                print(
                    f"{number} workers: {name:<15} {middle:7,.0f} examples/s, {times:.2f} times, "
                    f"{used:.2f} ms of CPU in this process",
                    flush=True,
                )


def memory(counts: tuple[int, ...] = (20_000, 200_000), held: float = 0.05) -> None:
    """Peak memory of preparing pictures and training on them, in a process of its own.

    Args:
        counts: pictures, of 64 x 64 pixels when they are read
        held: GB that the rows may take
    """
    spawn = multiprocessing.get_context("spawn")
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            draw_small(Path(folder), count)
            with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
                peak = pool.submit(_peak, folder, held).result()
            size = count * 64 * 64 * 3 / 1e6
            print(f"{count:,} pictures, {size:,.0f} MB decoded: peak {peak:,.0f} MB", flush=True)


def draw_small(folder: Path, count: int) -> None:
    """PNG files of 12 x 12 pixels, and the table rows.csv with two words and a class for each."""
    pixels = np.random.default_rng(0).integers(0, 256, (50, 12, 12, 3), np.uint8)
    with (folder / "rows.csv").open("w", encoding="utf-8") as file:
        print("image,words,label", file=file)
        for number in range(count):
            path = folder / f"{number // 1000}" / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels[number % 50]).save(path)
            words = f"word{number % 90} word{number * 7 % 90}"
            print(f"{path.relative_to(folder)},{words},{'ab'[number % 2]}", file=file)


def _peak(folder: str, held: float) -> float:
    """Prepare and train for some steps; returns the most memory of this process so far, in MB."""
    cols = mmjax.data.columns
    kinds = {"image": cols.ImageColumn(size=(64, 64)), "words": cols.TextColumn()}
    kinds |= {"label": cols.ClassColumn()}
    encoders = {
        "image": mmjax.encoders.Cnn(features=(4,), dim=8),
        "words": mmjax.encoders.BagOfWords(vocabulary_size=200, dim=8),
    }
    objective = mmjax.objectives.SoftmaxCrossEntropy(output="label", target="label")
    heads = {"label": mmjax.heads.Classes(classes=2)}
    data = mmjax.data.TableData("rows.csv", folder, kinds, memory=held, prepared=folder)
    mmjax.fit(
        mmjax.Experiment(
            model=mmjax.Multimodal(encoders=encoders, fusion=mmjax.fusion.Concat(), heads=heads),
            objectives={"label": objective},
            data=data,
            optim=mmjax.optim.Adam(),
            steps=STEPS,
            batch_size=64,
        ),
        Path(folder) / "run",
    )
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    tyro.extras.subcommand_cli_from_dict(
        {"columns": columns, "pictures": pictures, "memory": memory}, description=__doc__
    )
