"""LSTM and GRU, with gradients of their own."""
