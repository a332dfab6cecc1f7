"""mmjax: encode, fuse, train and evaluate several modalities together, in JAX."""
