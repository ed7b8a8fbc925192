"""Evaluation of face swaps by the papers' protocols: pipelines and other tools' results, side by side in one run."""
