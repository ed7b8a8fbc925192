"""The Space: the page in the browser, its API and its MCP tools. `python app.py` and open the address it prints."""

import signal
import sys

from reliableswap.space import build, launch

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # ends in order, so that people's files go too
    launch(build())
