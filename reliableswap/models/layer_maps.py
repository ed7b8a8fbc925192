"""How the maps of a layered generator are laid out, and what their numbers mean. See layers.py."""

from __future__ import annotations

SIDE = 128  # the size at which the network sees pictures and answers with maps
SIZES = (128, 256, 512, 1024)  # sides of the crops that a layered generator is exported for, maps applied
# Channels: scores of the layers, flows of texture and target, gain and bias by colour, shares of fine detail.
SCORES, FLOWS, COLOURS, FINE = 3, 4, 6, 2
CHANNELS = SCORES + FLOWS + COLOURS + FINE
REACH = 0.03  # fraction of the crop's side that a flow moves a picture at most
CELLS = 16  # cells a side of the map that relights the texture
TINT = 0.3  # factor on how far relighting may turn a colour: encoders like stains of colour, people do not
INVALID = 8.0  # the texture's score falls by this much where the texture is not valid
