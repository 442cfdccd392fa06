"""A page to look at: what a dataset holds, and its faces by identity."""
