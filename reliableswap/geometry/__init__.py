"""Meshes of 468 points: topology, rasterising, warping, face shape and measures.

NumPy and OpenCV alone, but for measures_torch.
"""
