"""Authors' checkpoints turned into our folders; their layer names live here too."""
