"""The Space: its web page, API and MCP tools. Run `python app.py` and open the address it prints."""

import signal
import sys

from reliableswap.errors import ReliableSwapError
from reliableswap.lazy import gc_paused

with gc_paused():
    from reliableswap.space import build, launch

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # exit normally, which deletes users' files
    try:
        page = build()
    except ReliableSwapError as error:  # an environment variable has an unusable value
        sys.exit(str(error))
    launch(page)
