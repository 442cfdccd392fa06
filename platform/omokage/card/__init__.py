"""A data card: what is in a dataset, how good it is, and what was done to it."""
