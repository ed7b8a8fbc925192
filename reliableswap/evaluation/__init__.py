"""The papers' protocols: figures for our pipelines and for anyone's pictures, side by side in one run."""
