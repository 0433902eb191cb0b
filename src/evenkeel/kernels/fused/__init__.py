"""Statistics of a batch and normalization by them, in one call."""
