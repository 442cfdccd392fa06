"""How good embeddings are: error rates with their intervals. Knows arrays, no tables."""
