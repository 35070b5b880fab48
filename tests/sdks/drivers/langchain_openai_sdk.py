"""langchain-openai: chat on both of OpenAI's protocols, completions and embeddings, called and streamed."""

# pyright: reportMissingImports=false
from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

os.environ["LANGSMITH_TRACING"] = "false"

from langchain_openai import AzureChatOpenAI, ChatOpenAI, OpenAI, OpenAIEmbeddings
from recorded import Row
from sdks.drivers.driving import Case, plain
from sdks.drivers.replay import Provider
from sdks.drivers.retries import refused

_KINDS: Final = ("/chat/completions", "/responses", "/completions", "/embeddings")
_DEPLOYMENTS: Final = ("openllmetry-testing", "gpt-5-nano")
_OWN: Final = ("model", "messages", "input", "prompt", "stream", "stream_options")


class Driver:
    """One model object for each kind of call; what a row asks for besides is bound to it."""

    def __init__(self, servers: dict[str, Provider], shared: Path) -> None:
        self.shared = shared
        self.place: dict[str, Any] = {"api_key": "sk-test", "base_url": servers["openai"].url + "/v1"}
        self.azure: dict[str, Any] = {
            "api_key": "sk-test",
            "azure_endpoint": servers["azure_openai"].url,
            "api_version": "2024-02-01",
        }
        self.chat = ChatOpenAI(model="gpt-4o", **self.place)
        self.responses = ChatOpenAI(model="gpt-4o", use_responses_api=True, **self.place)
        self.completions = OpenAI(model="gpt-3.5-turbo-instruct", **self.place)
        self.deployed = {name: AzureChatOpenAI(azure_deployment=name, **self.azure) for name in _DEPLOYMENTS}

    def reason(self, row: Row) -> str:
        if row["provider"] not in ("openai", "azure_openai"):
            return f"of {row['provider']}"
        if row["endpoint"] not in _KINDS:
            return "threads" if row["endpoint"].startswith("/threads") else str(row["endpoint"])
        if row["endpoint"] == "/embeddings" and row["provider"] == "azure_openai":
            return "embeddings at Azure"
        return ""

    def cases(self, row: Row) -> Iterable[Case]:
        if row["endpoint"] == "/embeddings":
            yield Case("embed_documents", row, lambda: self._embedder(row).embed_documents(_texts(row)))
            yield Case("aembed_documents", row, lambda: self._embedder(row).aembed_documents(_texts(row)))
        elif row["stream"]:
            yield Case("stream", row, lambda: _stream(self._bound(row), _asked(row)))
            yield Case("astream", row, lambda: _astream(self._bound(row), _asked(row)))
        else:
            yield Case("invoke", row, lambda: _same(plain(self._bound(row).invoke(_asked(row)))))
            yield Case("ainvoke", row, lambda: _ainvoke(self._bound(row), _asked(row)))

    def scenes(self, rows: list[Row]) -> Iterable[Case]:
        row = next(row for row in rows if row["endpoint"] == "/chat/completions" and row["usage"])
        first = refused(self.shared, "openai", 429, 500)
        yield Case("invoke retried", row, lambda: _same(plain(self._bound(row).invoke(_asked(row)))), first)
        yield Case("ainvoke retried", row, lambda: _ainvoke(self._bound(row), _asked(row)), first)

    def _embedder(self, row: Row) -> OpenAIEmbeddings:
        # Without the length check it asks no tokenizer, which it would fetch from the network.
        return OpenAIEmbeddings(model=row["request_body"]["model"], check_embedding_ctx_length=False, **self.place)

    def _bound(self, row: Row) -> Any:
        body = row["request_body"]
        further = {name: value for name, value in body.items() if name not in _OWN}
        if row["provider"] == "azure_openai":
            return self.deployed[row["url"].split("/deployments/")[1].partition("/")[0]].bind(**further)
        kind = {"/responses": self.responses, "/completions": self.completions}.get(row["endpoint"], self.chat)
        return kind.bind(model=body["model"], **further)


def _asked(row: Row) -> Any:
    body = row["request_body"]
    given = body.get("messages") or body.get("input") or body.get("prompt")
    if not isinstance(given, list) or not isinstance(given[0], dict):
        return given
    # Items of the Responses API that are no messages, such as calls of tools, have no counterpart among its inputs.
    return [{"content": "", **item} for item in given if item.get("role")]


def _texts(row: Row) -> list[str]:
    given = row["request_body"]["input"]
    return [given] if isinstance(given, str) else given


def _same(value: Any) -> Any:
    """Without the run's own name, which is new each time."""
    if isinstance(value, dict):
        return {name: _same(item) for name, item in value.items() if name != "id"}
    return [_same(item) for item in value] if isinstance(value, list) else value


def _stream(model: Any, asked: Any) -> Any:
    return _same([plain(chunk) for chunk in model.stream(asked)])


async def _astream(model: Any, asked: Any) -> Any:
    return _same([plain(chunk) async for chunk in model.astream(asked)])


async def _ainvoke(model: Any, asked: Any) -> Any:
    return _same(plain(await model.ainvoke(asked)))
