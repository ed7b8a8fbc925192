"""Meshes of 468 points: topology, rasterising, warping, face shape and measures.

NumPy and OpenCV alone, except in the modules that end in _torch.
"""
