"""What the Space takes and how long it keeps it; the page shows these numbers and the server enforces them."""

from __future__ import annotations

MAX_MEGABYTES = 20  # a picture file
MAX_MEGAPIXELS = 25  # a picture; also what bounds the size of a result
MAX_RESULT_MEGABYTES = 100  # a file whose mark is read; a result is a PNG, of up to four bytes a pixel
MAX_SOURCES = 6
MAX_FACES = 8  # faces that the page offers for mapping, the largest first; the API takes all of them
QUEUE_SIZE = 16  # jobs waiting; later ones are refused at once instead of waiting for ever
KEEP_SECONDS = 3600  # uploads and results
SWEEP_SECONDS = 600

MAX_BYTES = MAX_MEGABYTES << 20
MAX_RESULT_BYTES = MAX_RESULT_MEGABYTES << 20
MAX_PIXELS = MAX_MEGAPIXELS * 1_000_000
# A request without files holds names, numbers and paths. An upload may hold every source of a swap, and its target.
MAX_BODY = 1 << 20
MAX_UPLOAD = (MAX_SOURCES + 1) * MAX_BYTES + (1 << 20)
