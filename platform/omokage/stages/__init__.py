"""Tables: Arrow in, Arrow out; one file, one stage."""
