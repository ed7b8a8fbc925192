"""The Space: the page in the browser, its API and its MCP tools. Run `python app.py` and open the address it prints."""

import signal
import sys

from reliableswap.errors import ReliableSwapError
from reliableswap.lazy import uncollected

with uncollected():
    from reliableswap.space import build, launch

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # a normal exit, which deletes people's files
    try:
        page = build()
    except ReliableSwapError as error:  # the environment names something that can't be used
        sys.exit(str(error))
    launch(page)
