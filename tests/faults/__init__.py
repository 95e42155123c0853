"""The database stopped, frozen, killed, half-open, pooled and under load: `make faults`."""
