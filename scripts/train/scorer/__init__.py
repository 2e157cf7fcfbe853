"""Reads a clip's pixels and a caption's words, and says which of the caption's facts the clip shows."""
