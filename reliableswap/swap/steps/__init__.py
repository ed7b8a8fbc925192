"""The steps of a swap: pure functions from FaceJob to FaceJob, mostly one per file."""
