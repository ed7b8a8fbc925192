"""Face analysers: callables that give the faces of a photo. See `base.FaceAnalyser`."""
