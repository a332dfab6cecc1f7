"""Settings while a model is traced: sums over devices, precision, rematerialisation, kernels."""
