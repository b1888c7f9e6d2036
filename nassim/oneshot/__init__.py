"""Many architectures, one set of weights."""
