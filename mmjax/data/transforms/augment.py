"""Augmentation: random changes of the training images and texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from mmjax.data.preprocessing import Preprocessing
from mmjax.data.share import Rng, Share
from mmjax.data.transforms.text import TextTransform
from mmjax.errors import UserError
from mmjax.types import Masked


@dataclass(frozen=True)
class ImageAugment:
    """Random changes of uint8 images; pixels from outside the frame are black."""

    shift: float = 0.0  # largest shift in pixels, up or down and left or right; 0: off
    rotation: float = 0.0  # largest rotation in degrees, in either direction; 0: off
    scale: float = 0.0  # largest change of the size, as a share of it; 0: off
    noise: float = 0.0  # standard deviation of pixel noise, in grey levels of 0..255; 0: off
    cutout: int = 0  # side of a black square, in pixels; 0: off

    def __post_init__(self):
        for name, value in vars(self).items():
            if not 0 <= value < float("inf"):
                raise UserError(f"augment.{name}: expected 0 or more, got {value}")
        if self.scale >= 1:
            raise UserError(f"augment.scale: expected less than 1, got {self.scale}")

    def __call__(
        self,
        images: UInt8[np.ndarray, "batch height width channel"],
        rng: Rng,
        share: Share | None = None,
    ) -> UInt8[np.ndarray, "batch height width channel"]:
        """Changed copies; the images themselves where everything is off.

        `share`: the rows of the batch that `images` are, where not all.
        """
        share = share or Share(len(images), slice(None))
        if self.shift or self.rotation or self.scale:
            images = self._moved(images, rng, share)
        if self.noise:
            shape = (share.size, *images.shape[1:])
            noise = share.of(rng.standard_normal(shape, np.float32)) * np.float32(self.noise)
            images = np.clip(np.rint(images + noise), 0, 255).astype(np.uint8)
        if self.cutout:
            images = self._cut(images, rng, share)
        return images

    def _moved(self, images: np.ndarray, rng: Rng, share: Share) -> np.ndarray:
        from scipy.ndimage import affine_transform  # here, because it would slow down the import

        b, h, w, c = images.shape
        angle = np.radians(share.of(rng.uniform(-self.rotation, self.rotation, share.size)))
        size = share.of(rng.uniform(1 - self.scale, 1 + self.scale, share.size))
        shift = share.of(rng.uniform(-self.shift, self.shift, (share.size, 2)))
        cos, sin = np.cos(angle) / size, np.sin(angle) / size
        # SciPy needs the source of each pixel: source = turn @ (target - centre - shift) + centre
        turn = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], axis=1)
        centre = np.array([(h - 1) / 2, (w - 1) / 2])
        offset = centre - np.einsum("bij,bj->bi", turn, centre + shift)
        moved = np.empty_like(images)
        # One call an image is twice as fast as one `map_coordinates` over the batch.
        for i in range(b):
            for k in range(c):
                affine_transform(
                    images[i, :, :, k], turn[i], offset[i], order=1, output=moved[i, :, :, k]
                )
        return moved

    def _cut(self, images: np.ndarray, rng: Rng, share: Share) -> np.ndarray:
        _, h, w, _ = images.shape
        top = share.of(rng.integers(0, max(h - self.cutout, 0) + 1, (share.size, 1)))
        left = share.of(rng.integers(0, max(w - self.cutout, 0) + 1, (share.size, 1)))
        rows = (np.arange(h) >= top) & (np.arange(h) < top + self.cutout)
        columns = (np.arange(w) >= left) & (np.arange(w) < left + self.cutout)
        square = rows[:, :, None, None] & columns[:, None, :, None]
        return np.where(square, np.uint8(0), images)


def drop_words(
    inputs: Mapping[str, Masked],
    modalities: Sequence[str],
    preprocessing: Preprocessing,
    rate: float,
    rng: Rng,
    share: Share | None = None,
) -> dict[str, Masked]:
    """Replace words by the unknown word, which would otherwise never be trained.

    Args:
        inputs: by modality
        modalities: the texts among them; special words and masks do not change
        rate: share of the words, 0 to 1
        share: the rows of the batch that `inputs` are, where not all

    Raises:
        UserError: a tokenizer has no unknown word.
    """
    if not 0 <= rate <= 1:
        raise UserError(f"word_dropout: expected 0 to 1, got {rate}")
    changed = dict(inputs)
    for name in modalities if rate else ():
        transform = preprocessing.transforms[name]
        if not isinstance(transform, TextTransform):
            raise UserError(f"{name}: expected a TextTransform, got {type(transform).__name__}")
        if transform.unknown is None:
            raise UserError("--data.word-dropout: expected 0, the tokenizer has no unknown word")
        mask, values = np.asarray(inputs[name].mask), np.asarray(inputs[name].values)
        share = share or Share(len(mask), slice(None))
        drawn = share.of(rng.random((share.size, *mask.shape[1:])))
        dropped = mask & (drawn < rate) & ~np.isin(values, transform.special)
        changed[name] = Masked(np.where(dropped, np.int32(transform.unknown), values), mask)
    return changed
