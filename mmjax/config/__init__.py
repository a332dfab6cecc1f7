"""Configuration: an Experiment of the real objects; as JSON; on the command line."""

from mmjax.config.experiment import Experiment as Experiment
