"""What reads a finished run: restore, evaluate, predict, compare."""

from mmjax.runs.restore import Restored as Restored
from mmjax.runs.restore import restore as restore
