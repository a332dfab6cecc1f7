"""Convolution, batch normalisation, spectrograms, rasters."""
