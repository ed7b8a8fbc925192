"""The unified face model: a tokeniser of faces, and one transformer over words and picture tokens."""
