"""The gate, against small suites that are broken in each way that it must catch: a part of `make check`."""
