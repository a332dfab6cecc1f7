"""How long does an exact search take, beside faiss-cpu's flat index in the same process?

    pip install faiss-cpu
    python experiments/search_speed.py

Random vectors of width 256, the ten best; medians of 7 turns, and the ratio turn by turn.
"""

import time

import numpy as np
import tyro

from mmjax.search import Index


def main(sizes: tuple[int, ...] = (10_000, 1_000_000), dim: int = 256, k: int = 10) -> None:
    """Print a table.

    Args:
        sizes: numbers of vectors
        dim: their width
        k: how many are searched
    """
    import faiss  # type: ignore[reportMissingImports]

    print("| vectors | queries | mmjax, ms | faiss, ms | times as fast | same items |")
    print("| --- " * 6 + "|", flush=True)
    rng = np.random.default_rng(0)
    for size in sizes:
        vectors = rng.standard_normal((size, dim), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        names = [""] * size
        index = Index(vectors, names, names, names, modality="", source="", run="", mark="")
        flat = faiss.IndexFlatIP(dim)
        flat.add(vectors)
        for count in (1, 64):
            noise = rng.standard_normal((count, dim), np.float32) / 32
            queries = vectors[:count] + noise
            index.search(queries, k)  # compiles
            ours, theirs, same = [], [], 0.0
            for _ in range(7):
                begun = time.perf_counter()
                _, numbers = index.search(queries, k)
                ours.append(time.perf_counter() - begun)
                begun = time.perf_counter()
                _, others = flat.search(queries, k)
                theirs.append(time.perf_counter() - begun)
                same = float(np.mean(numbers == others))
            ratio = np.median(np.divide(theirs, ours))
            times = [f"{1e3 * np.median(side):.2f}" for side in (ours, theirs)]
            print(f"| {size:,} | {count} | {' | '.join(times)} | {ratio:.2f} | {same:.1%} |")


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
