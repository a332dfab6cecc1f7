"""LSTM and GRU, with hand-written gradients."""
