"""Optimisers: frozen dataclasses that become optax chains."""

from mmjax.optim.optim import OPTIMISERS as OPTIMISERS
from mmjax.optim.optim import Adam as Adam
from mmjax.optim.optim import AdamW as AdamW
from mmjax.optim.optim import Optim as Optim
from mmjax.optim.optim import Sgd as Sgd
