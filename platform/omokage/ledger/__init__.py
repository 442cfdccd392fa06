"""What people decided about faces and people: an append-only book, what follows from it, and frozen versions."""
