"""Vectors: exact and approximate joins and searches, by numpy, FAISS and torch."""
