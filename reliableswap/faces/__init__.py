"""Faces in photos: detection, alignment, and what covers them. Imports geometry, imaging, models and runtime."""
