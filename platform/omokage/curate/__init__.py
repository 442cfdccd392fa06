"""Decisions: what is wrong in a dataset, as proposals with reasons."""
