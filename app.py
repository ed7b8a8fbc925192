"""The Space: the page in the browser, its API and its MCP tools. `python app.py` and open the address it prints."""

from reliableswap.space import build, launch

if __name__ == "__main__":
    launch(build())
