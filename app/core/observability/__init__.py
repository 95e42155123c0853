"""What an operator sees: the log, metrics, traces."""
