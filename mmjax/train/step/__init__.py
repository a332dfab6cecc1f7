"""One step of training or evaluation: pure functions, as seen by one device."""
