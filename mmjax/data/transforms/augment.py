"""Training examples, slightly changed: pixels before they are standardised, words after."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from mmjax.data.transforms.text import TextTransform
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
                raise ValueError(f"augment.{name}: expected 0 or more, got {value}")
        if self.scale >= 1:
            raise ValueError(f"augment.scale: expected less than 1, got {self.scale}")

    def __call__(
        self, images: UInt8[np.ndarray, "batch height width channel"], rng: np.random.Generator
    ) -> UInt8[np.ndarray, "batch height width channel"]:
        """Changed copies; the images themselves where everything is off."""
        if self.shift or self.rotation or self.scale:
            images = self._moved(images, rng)
        if self.noise:
            noise = rng.standard_normal(images.shape, np.float32) * np.float32(self.noise)
            images = np.clip(np.rint(images + noise), 0, 255).astype(np.uint8)
        if self.cutout:
            images = self._cut(images, rng)
        return images

    def _moved(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        # Here and not above: every import of a configuration would pay for it.
        from scipy.ndimage import affine_transform

        b, h, w, c = images.shape
        angle = np.radians(rng.uniform(-self.rotation, self.rotation, b))
        size = rng.uniform(1 - self.scale, 1 + self.scale, b)
        shift = rng.uniform(-self.shift, self.shift, (b, 2))
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

    def _cut(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        b, h, w, _ = images.shape
        top = rng.integers(0, max(h - self.cutout, 0) + 1, (b, 1))
        left = rng.integers(0, max(w - self.cutout, 0) + 1, (b, 1))
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
            raise ValueError(f"word_dropout: expected 0 to 1, got {self.rate}")

    def __call__(self, text: Masked, transform: TextTransform, rng: np.random.Generator) -> Masked:
        """The text with some word numbers changed, and the mask as it was.

        The special words of `transform` stay. ValueError where it knows no unknown word.
        """
        if not self.rate:
            return text
        if transform.unknown is None:
            raise ValueError("--data.word-dropout: expected 0, the tokenizer has no unknown word")
        mask, values = np.asarray(text.mask), np.asarray(text.values)
        dropped = mask & (rng.random(mask.shape) < self.rate) & ~np.isin(values, transform.special)
        return Masked(np.where(dropped, np.int32(transform.unknown), values), mask)
