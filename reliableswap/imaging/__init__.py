"""Image processing without knowledge of faces: colour, frequency bands, grain, degradations; painted glasses."""
