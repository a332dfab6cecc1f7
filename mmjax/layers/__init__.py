"""Parts that encoders, fusions and heads share."""
