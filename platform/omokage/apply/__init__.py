"""Decisions made real: a clean copy, or moved files, with a journal and a way back."""
