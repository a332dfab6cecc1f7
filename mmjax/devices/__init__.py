"""Devices and processes: the only folder that knows how many there are."""
