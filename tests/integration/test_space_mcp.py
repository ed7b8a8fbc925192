"""The Space's MCP tools."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import anyio
import gradio as gr
import httpx
import pytest
from support.space_page import counting_server

pytest.importorskip("mcp")


def test_the_mcp_tools_say_what_they_take(page: gr.Blocks) -> None:
    tools = {tool["name"]: tool for tool in httpx.get(f"{page.local_url}gradio_api/mcp/schema").json()}
    assert set(tools) == {"swap", "faces", "video", "people", "triplets", "verify"}
    schema = tools["swap"]["inputSchema"]["properties"]
    assert list(schema)[:10] == [
        "source",
        "target",
        "agreed",
        "faces",
        "engine",
        "likeness",
        "shape",
        "detail",
        "expression",
        "glasses",
    ]
    assert set(tools["swap"]["inputSchema"]["required"]) == {"source", "target", "agreed"}
    for name, about in schema.items():
        assert len(about.get("description", "")) > 15, f"{name} is not explained"
        assert about["type"] in ("string", "boolean", "number"), name
    assert "0=1, 2=0" in schema["faces"]["description"]


def call(page: gr.Blocks, tool: str, **arguments: Any) -> Any:
    """Call a tool as an agent does."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async def session_call() -> Any:
        address = f"{page.local_url}gradio_api/mcp/"
        async with streamable_http_client(address) as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            return await session.call_tool(tool, arguments)

    return anyio.run(session_call)


def said(answer: Any) -> str:
    return "".join(content.text for content in answer.content if content.type == "text")


def inline(path: str) -> str:
    return "data:image/png;base64," + base64.b64encode(Path(path).read_bytes()).decode()


@pytest.mark.slow
def test_an_agent_can_swap(page: gr.Blocks, pictures: list[str]) -> None:
    answer = call(page, "swap", source=inline(pictures[0]), target=inline(pictures[1]), agreed=True)
    assert not answer.isError
    assert "swapped.png" in said(answer)
    assert "Made by AI" in said(answer)


def test_an_agent_needs_consent_too(page: gr.Blocks, pictures: list[str]) -> None:
    answer = call(page, "swap", source=inline(pictures[0]), target=inline(pictures[1]), agreed=False)
    assert answer.isError
    assert "confirm that the people shown agreed" in said(answer)


@pytest.mark.parametrize("as_object", [False, True], ids=["address", "file object"])
def test_an_address_from_an_agent_is_refused_and_not_fetched(
    page: gr.Blocks, pictures: list[str], as_object: bool
) -> None:
    with counting_server() as (address, requests):
        given: Any = address
        if as_object:
            given = {"path": address, "url": address, "meta": {"_type": "gradio.FileData"}}
        answers = [
            call(page, "swap", source=inline(pictures[0]), target=given, agreed=True),
            call(page, "swap", source=given, target=inline(pictures[1]), agreed=True),
            call(page, "faces", target=given),
            call(page, "verify", file=given),
        ]
    assert all(answer.isError for answer in answers)
    # The tools take text only; an object is refused before the address in it is seen.
    reason = "is not of type 'string'" if as_object else "addresses are not fetched here"
    assert all(reason in said(answer) for answer in answers)
    assert requests == []


def test_a_path_from_an_agent_is_not_read(page: gr.Blocks, tmp_path: Path, pictures: list[str]) -> None:
    for given in (pictures[0], {"path": pictures[0], "meta": {"_type": "gradio.FileData"}}):
        answer = call(page, "verify", file=given)
        assert answer.isError, said(answer)
        assert "made_here" not in said(answer)
