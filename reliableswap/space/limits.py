"""The Space's limits. The page states most of these numbers, and the server enforces all of them."""

from __future__ import annotations

MAX_MEGABYTES = 20  # of a picture file
MAX_MEGAPIXELS = 25  # of a picture, and so of a result
MAX_RESULT_MEGABYTES = 100  # of a file to verify: a result is a PNG of up to four bytes a pixel
MAX_SOURCES = 6
MAX_FACES = 8  # that the page offers for mapping, the largest first; the API takes all faces
MAX_CLIP_MEGABYTES = 100  # of a clip file, and so of a clip to verify
MAX_CLIP_SECONDS = 60  # of the part that is swapped
MAX_CLIP_FRAMES = 1800  # of that part
MAX_CLIP_MEGAPIXELS = 2.1  # of a frame: 1920x1080
MAX_PEOPLE = 8  # that the page offers, longest seen first; the API takes all
MAX_LIVE_SECONDS = 300  # of one stream of the webcam; then somebody else may have a turn
MAX_LIVE_SIDE = 640  # pixels; larger frames of a webcam are reduced
MAX_LIVE_PIXELS = 4_000_000  # that a frame of a webcam may declare; larger ones are not decoded
MAX_LIVE_BYTES = 700_000  # of one frame; a request's limit is MAX_BODY
QUEUE_SIZE = 16  # waiting jobs; further ones are refused at once
KEEP_SECONDS = 3600  # age at which uploads and results are deleted
SWEEP_SECONDS = 600  # between two searches for files of that age
STORAGE_BYTES = 1 << 30  # of all uploads and results together
IN_USE_SECONDS = 600  # a file used this recently is not deleted to make room

MAX_BYTES = MAX_MEGABYTES << 20
MAX_RESULT_BYTES = MAX_RESULT_MEGABYTES << 20
MAX_CLIP_BYTES = MAX_CLIP_MEGABYTES << 20
MAX_PIXELS = MAX_MEGAPIXELS * 1_000_000
# A request without files holds names, numbers and paths, or a frame of the webcam. An upload may hold all sources of a
# swap and its target.
MAX_BODY = 1 << 20
MAX_UPLOAD = (MAX_SOURCES + 1) * MAX_BYTES + (1 << 20)
