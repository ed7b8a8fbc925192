"""Pictures without knowledge of faces: colour, frequency bands, grain, degradations; and glasses painted on a mesh."""
