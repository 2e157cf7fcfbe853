"""The small world that the built-in model knows: what is drawn, and what is said about it."""
