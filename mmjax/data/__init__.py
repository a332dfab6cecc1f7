"""From files to batches: data sets, transforms, pipeline. NumPy and Grain only, no jax arrays."""
