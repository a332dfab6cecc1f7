"""Configuration: the Experiment, its JSON form, and its command line."""

from mmjax.config.compute import Compute as Compute
from mmjax.config.experiment import Experiment as Experiment
from mmjax.config.keeping import Keeping as Keeping
