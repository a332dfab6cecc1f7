"""On-the-fly gradient modulation with generalisation enhancement, Peng 2022, arXiv:2203.15332."""

import dataclasses
from collections.abc import Mapping
from typing import Any, final

import jax
import jax.numpy as jnp
from jax import Array

from mmjax.balance.balance import Balance, require_positive
from mmjax.errors import UserError
from mmjax.types import MetricName, WeightedMean


@final
@dataclasses.dataclass(frozen=True)
class OgmGe(Balance):
    """The encoder of modality m learns with k_m g_m + e_m instead of its gradient g_m.

    k_m = 1 - tanh(alpha rho_m) where rho_m > 1, else 1;  rho_m = s_m / mean of the other s;
    e_m ~ N(0, std(g_m)^2) in each array;  s_m the mean probability that modality m's own head gives
    to the true class. The paper takes s_m from the parts of a linear head on a concatenation;
    probing heads work with any fusion.
    """

    alpha: float = 0.3  # strength, above 0; 0.1 to 1 in the paper
    noise: bool = True  # add e_m (GE)

    unimodal = ("probe",)

    def __post_init__(self) -> None:
        require_positive(self, "alpha")

    def modulate(self, gradients: Any, means: Mapping[MetricName, WeightedMean], key: Array) -> Any:
        """The gradients, those of encoders scaled; fusion and heads are unchanged."""
        changed = dict(gradients)
        for place, (modality, scale) in enumerate(sorted(self.scales(means).items())):
            path = f"encoders_{modality}"  # as Model.path_of, a level above this folder
            leaves, structure = jax.tree.flatten(gradients[path])
            scaled = [scale.astype(leaf.dtype) * leaf for leaf in leaves]
            if self.noise:
                keys = jax.random.split(jax.random.fold_in(key, place), len(leaves))
                scaled = [
                    new + jnp.std(leaf) * jax.random.normal(k, leaf.shape, leaf.dtype)
                    for new, leaf, k in zip(scaled, leaves, keys, strict=True)
                ]
            changed[path] = jax.tree.unflatten(structure, scaled)
        return changed

    def scales(self, means: Mapping[MetricName, WeightedMean]) -> dict[str, Array]:
        """k_m of each modality, from the confidence of its own heads; UserError without one."""
        scores: dict[str, list[Array]] = {}
        for name, mean in means.items():
            if name.part and name.quantity == "confidence":
                scores.setdefault(name.part, []).append(mean.mean())
        if not scores:
            raise UserError("ogm_ge: no objective reports a confidence of single modalities")
        average = {name: sum(values) / len(values) for name, values in scores.items()}
        scales = {}
        for name, score in average.items():
            others = [other for key, other in average.items() if key != name]
            if not others:
                return {name: jnp.ones_like(score)}
            ratio = score * len(others) / jnp.maximum(sum(others), jnp.full_like(score, 1e-6))
            damped = 1.0 - jnp.tanh(self.alpha * ratio)
            scales[name] = jnp.where(ratio > 1, damped, jnp.ones_like(damped))
        return scales
