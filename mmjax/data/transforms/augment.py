"""Training examples, slightly changed: pixels before they are standardised, words after."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from mmjax.data.share import Share
from mmjax.data.transforms.text import TextTransform
from mmjax.errors import UserError
from mmjax.types import Masked


@dataclass(frozen=True)
class ImageAugment:
    """Random changes of uint8 images; what comes in from outside the frame is black."""

    # Pixels, at most, up or down and left or right; 0 = off.
    shift: float = 0.0
    # Degrees, at most, either way; 0 = off.
    rotation: float = 0.0
    # Share of the size, at most, smaller or larger; 0 = off.
    scale: float = 0.0
    # Standard deviation of pixel noise, in grey levels of 255; 0 = off.
    noise: float = 0.0
    # Side of a black square, in pixels; 0 = off.
    cutout: int = 0

    def __post_init__(self):
        for name, value in vars(self).items():
            if not 0 <= value < float("inf"):
                raise UserError(f"augment.{name}: expected 0 or more, got {value}")
        if self.scale >= 1:
            raise UserError(f"augment.scale: expected less than 1, got {self.scale}")

    def __call__(
        self,
        images: UInt8[np.ndarray, "batch height width channel"],
        rng: np.random.Generator,
        share: Share | None = None,
    ) -> UInt8[np.ndarray, "batch height width channel"]:
        """Changed copies; the images themselves where everything is off.

        `share`: which rows of which batch the images are, where not all.
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

    def _moved(self, images: np.ndarray, rng: np.random.Generator, share: Share) -> np.ndarray:
        # Here and not above: every import of a configuration would pay for it.
        from scipy.ndimage import affine_transform

        b, h, w, c = images.shape
        angle = np.radians(share.of(rng.uniform(-self.rotation, self.rotation, share.size)))
        size = share.of(rng.uniform(1 - self.scale, 1 + self.scale, share.size))
        shift = share.of(rng.uniform(-self.shift, self.shift, (share.size, 2)))
        cos, sin = np.cos(angle) / size, np.sin(angle) / size
        # SciPy asks from where each pixel comes: source = turn @ (target - centre - shift) + centre
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

    def _cut(self, images: np.ndarray, rng: np.random.Generator, share: Share) -> np.ndarray:
        _, h, w, _ = images.shape
        top = share.of(rng.integers(0, max(h - self.cutout, 0) + 1, (share.size, 1)))
        left = share.of(rng.integers(0, max(w - self.cutout, 0) + 1, (share.size, 1)))
        rows = (np.arange(h) >= top) & (np.arange(h) < top + self.cutout)
        columns = (np.arange(w) >= left) & (np.arange(w) < left + self.cutout)
        square = rows[:, :, None, None] & columns[:, None, :, None]
        return np.where(square, np.uint8(0), images)


@dataclass(frozen=True)
class WordDropout:
    """Replaces words by the unknown word, which would otherwise never be trained."""

    # Share of the words, 0 to 1; 0 = off.
    rate: float = 0.0

    def __post_init__(self):
        if not 0 <= self.rate <= 1:
            raise UserError(f"word_dropout: expected 0 to 1, got {self.rate}")

    def __call__(
        self,
        text: Masked,
        transform: TextTransform,
        rng: np.random.Generator,
        share: Share | None = None,
    ) -> Masked:
        """The text with some word numbers changed, and the mask as it was.

        `share`: which rows of which batch the text is, where not all.

        The special words of `transform` stay. UserError where it knows no unknown word.
        """
        if not self.rate:
            return text
        if transform.unknown is None:
            raise UserError("--data.word-dropout: expected 0, the tokenizer has no unknown word")
        mask, values = np.asarray(text.mask), np.asarray(text.values)
        share = share or Share(len(mask), slice(None))
        drawn = share.of(rng.random((share.size, *mask.shape[1:])))
        dropped = mask & (drawn < self.rate) & ~np.isin(values, transform.special)
        return Masked(np.where(dropped, np.int32(transform.unknown), values), mask)
