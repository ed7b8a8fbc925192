"""Convert published checkpoints to our folders; the authors' layer names are kept here."""
