"""Layout and constants of the maps of a layered generator. See layers.py."""

from __future__ import annotations

SIDE = 128  # the side of the network's inputs and maps
SIZES = (128, 256, 512, 1024)  # sides of the crops that a layered generator is exported for, maps applied
# Channels: scores of the layers, flows of texture and target, gain and bias by colour, shares of fine detail.
SCORES, FLOWS, COLOURS, FINE = 3, 4, 6, 2
CHANNELS = SCORES + FLOWS + COLOURS + FINE
REACH = 0.03  # the largest displacement by a flow, in fractions of half the crop's side
CELLS = 16  # cells per side of the map that relights the texture
TINT = 0.3  # factor on relighting's change of hue: identity encoders reward coloured stains, people do not
INVALID = 8.0  # subtracted from the texture's score where the texture is not valid
