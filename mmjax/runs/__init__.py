"""The folder of a run: configuration, checkpoints, log, lock, restore."""
