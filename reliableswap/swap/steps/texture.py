"""Warp the source's texture onto the goal mesh."""

from __future__ import annotations

from reliableswap.geometry.raster import rasterise
from reliableswap.geometry.warp import open_lips, reenact
from reliableswap.swap.job import FaceJob


def texture(job: FaceJob) -> FaceJob:
    """Layers of the window: `texture` (h,w,3), its `validity` and the source's bare `skin`, (h,w) in 0..1."""
    rows, columns = job.window
    goal, source = job.goal_in_window, job.source
    raster = rasterise(goal, (rows.stop - rows.start, columns.stop - columns.start))
    made = reenact(
        source.copies, open_lips(source.mesh, goal), goal, raster, source.strict_covers.at, job.quick
    )
    return job.with_layers(texture=made.image, validity=made.validity, skin=made.skin)
