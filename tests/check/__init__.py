"""What `make check` runs beside `make test`: a browser and npm, a fuzzer, a model of interleavings, all the locks."""
