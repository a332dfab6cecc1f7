"""What reads a finished run: restore, evaluate, predict, compare."""

from mmjax.evaluation.restore import Restored as Restored
from mmjax.evaluation.restore import restore as restore
