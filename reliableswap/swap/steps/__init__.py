"""The steps of a swap: pure functions from FaceJob to FaceJob, one a file."""
