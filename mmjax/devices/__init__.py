"""Devices and processes: the only folder that knows how many there are."""

from mmjax.devices import parallel as parallel
