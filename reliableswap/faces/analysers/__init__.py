"""Face analysers: callables that return the faces in a photo. See `base.FaceAnalyser`."""
