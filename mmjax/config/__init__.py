"""Configuration: the Experiment, its JSON form, and its command line."""

from mmjax.config.experiment import Experiment as Experiment
from mmjax.config.private import Private as Private
from mmjax.config.settings import Compute as Compute
from mmjax.config.settings import Keeping as Keeping
