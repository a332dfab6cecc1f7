"""The order of training examples: every epoch in an order of its own, from a seed.

The example at any place of the endless stream is computed without the ones before it, for a whole
batch at once. The order is that of Grain's `MapDataset.range(n).seed(seed).shuffle().repeat()`,
which takes 30 times as long, example by example, and holds up small models on accelerators.
"""

import functools

import numpy as np

_BITS = 2**32 - 1
_MOST_KEPT = 2**20  # examples of an epoch whose whole order is computed once and kept, 4 MiB


def examples_at(places: np.ndarray, length: int, seed: int) -> np.ndarray:
    """The examples, 0 to length - 1, at these places of a stream that repeats its epochs."""
    epochs, places = np.divmod(np.asarray(places, np.int64), length)
    # Grain derives the seed of a stream's second transformation like this.
    base = int(np.random.SeedSequence([seed, 1]).generate_state(1)[0])
    found = np.empty_like(places)
    for epoch in np.unique(epochs):
        mine, key = epochs == epoch, (base + int(epoch)) & _BITS
        if length <= _MOST_KEPT:
            found[mine] = _order(length, key)[places[mine]]
        else:
            found[mine] = _permuted(places[mine], length, key)
    return found


@functools.lru_cache(maxsize=64)  # of every run that `--seeds` trains at once
def _order(length: int, seed: int) -> np.ndarray:
    return _permuted(np.arange(length), length, seed).astype(np.int32)


def _permuted(numbers: np.ndarray, length: int, seed: int) -> np.ndarray:
    """The images of numbers under a permutation of 0 to length - 1.

    Four rounds of the block cipher Simon, Beaulieu et al. 2013, iacr.org/2013/404, again where the
    result is too large: a cycle-walking cipher, Black & Rogaway 2002, doi:10.1007/3-540-45760-7_9.
    """
    # At least 16 bits; smaller blocks show patterns.
    half = max((length - 1).bit_length() + 1, 16) // 2
    mask, keys = 2**half - 1, [key & (2**half - 1) for key in _keys(seed)]

    def rotated(x: np.ndarray, by: int) -> np.ndarray:
        return ((x << by) & mask) | (x >> (half - by))

    def mixed(x: np.ndarray) -> np.ndarray:
        return (rotated(x, 1) & rotated(x, 8)) ^ rotated(x, 2)

    def encrypted(x: np.ndarray) -> np.ndarray:
        left, right = x >> half, x & mask
        for first, second in (keys[:2], keys[2:]):
            left = left ^ mixed(right) ^ first
            right = right ^ mixed(left) ^ second
        return (left << half) | right

    # Few examples are far apart in a block of 16 bits: a table makes the long walks short work.
    table = encrypted(np.arange(2**16)) if half == 8 else None
    found, walking = numbers.copy(), np.arange(len(numbers))
    while len(walking):
        x = found[walking]
        found[walking] = x = encrypted(x) if table is None else table[x]
        walking = walking[x >= length]
    return found


def _keys(seed: int) -> list[int]:
    """Four numbers of 32 bits: those of C++'s std::seed_seq{seed}."""
    state = [0x8B8B8B8B] * 4

    def scrambled(x: int) -> int:
        return (x ^ (x >> 27)) & _BITS

    for place in range(4):
        after, last = state[(place + 1) % 4], state[place - 1]
        grown = 1664525 * scrambled(state[place] ^ after ^ last) & _BITS
        shifted = grown + (1, 1 + seed, 2, 3)[place]
        state[(place + 1) % 4] = after + grown & _BITS
        state[(place + 2) % 4] = state[(place + 2) % 4] + shifted & _BITS
        state[place] = shifted & _BITS
    for place in range(4):
        after, last = state[(place + 1) % 4], state[place - 1]
        grown = 1566083941 * scrambled(state[place] + after + last & _BITS) & _BITS
        shifted = grown - place & _BITS
        state[(place + 1) % 4] = after ^ grown
        state[(place + 2) % 4] ^= shifted
        state[place] = shifted
    return state
