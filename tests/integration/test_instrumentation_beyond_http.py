"""WebSockets, server-sent events and background work under a real uvicorn; messages through a real queue."""

from __future__ import annotations

import asyncio
import json
import socket
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import websockets
from aws_server import aws_on_loopback, boto, lead_boto3_to
from serving import get, served, spooled, stop

from tollmeter.instrumentation import (
    active,
    consume,
    consume_batch,
    instrument,
    job,
    step,
    trace_attributes,
    trace_headers,
)
from tollmeter.instrumentation.writer import MemoryWriter
from tollmeter.model.events import LlmCall, Request, decode
from tollmeter.model.home import Home

BAGGAGE = {"tenant_id": "tenant"}
SERVICE = """
import asyncio, contextvars, threading, time
from concurrent.futures import ThreadPoolExecutor
from fastapi import BackgroundTasks, FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from tollmeter.instrumentation import annotate, instrument, job, llm_call

app = FastAPI(title="svc")
instrument(app)
pool = ThreadPoolExecutor(1)
BAGGAGE = {"tenant_id": "tenant"}


def call_a_model():
    with llm_call(provider="openai", model="gpt-4o") as call:
        call.record_usage(input_tokens=1, output_tokens=1)

@app.websocket("/ws/{room}")
async def talk(socket: WebSocket, room: str):
    await socket.accept()
    while True:
        text = await socket.receive_text()
        call_a_model()
        if text == "close":
            await socket.close(4001)
            return
        await socket.send_text(text)

@app.websocket("/refused")
async def refused(socket: WebSocket):
    await socket.close()

@app.get("/events")
async def events(count: int = 3):
    async def parts():
        for number in range(count):
            await asyncio.sleep(0.02)
            yield f"data: {number}\\n\\n"
    return StreamingResponse(parts(), media_type="text/event-stream")

@app.get("/later")
async def later(tasks: BackgroundTasks):
    annotate(tenant_id="acme")
    def slow():
        time.sleep(0.2)
        call_a_model()
    tasks.add_task(slow)
    async def task():
        await asyncio.sleep(0.2)
        call_a_model()
    app.state.task = asyncio.create_task(task())
    app.state.future = asyncio.get_running_loop().run_in_executor(None, slow)
    pool.submit(slow)
    threading.Thread(target=slow).start()
    return {"ok": True}
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, str]]:
    folder = tmp_path_factory.mktemp("service")
    home = Home(folder / "home")
    with served(folder, home, code=SERVICE) as (process, url):
        yield home, url
        stop(process)


def waited_for(home: Home, route: str, count: int, kind: type[Request | LlmCall] = Request) -> list[Any]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = [event for event in spooled(home) if isinstance(event, kind) and event.route == route]
        if len(found) >= count:
            return found
        time.sleep(0.02)
    raise AssertionError(f"fewer than {count} of {route}: {spooled(home)}")


def talk(url: str, *texts: str, code: int | None = 1000) -> list[str]:
    async def main() -> list[str]:
        answers = []
        connection = await websockets.connect(url.replace("http", "ws") + "/ws/kitchen", proxy=None)
        for text in texts:
            await connection.send(text)
            if text != "close":
                answers.append(str(await connection.recv()))
        if code is None:
            connection.transport.abort()
        else:
            await connection.close(code)
        await connection.wait_closed()
        return answers

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("texts", "code", "expected"),
    [
        (("größe", "b"), 1000, ("1000", False, "", 8, 2)),
        (("a",), 1001, ("1001", True, "", 1, 1)),
        (("a",), None, ("1005", False, "", 1, 1)),  # uvicorn says of a lost connection that it was closed without code
        (("a", "close"), 1000, ("4001", False, "", 1, 2)),
    ],
)
def test_a_websocket_is_one_row(
    service: tuple[Home, str], texts: tuple[str, ...], code: int | None, expected: tuple[Any, ...]
) -> None:
    home, url = service
    before = len([e for e in spooled(home) if isinstance(e, Request) and e.route == "/ws/{room}"])
    assert talk(url, *texts, code=code) == [text for text in texts if text != "close"]
    row = waited_for(home, "/ws/{room}", before + 1)[-1]
    assert (row.method, row.status_code) == ("WEBSOCKET", 101)
    close_code = row.tags["close_code"]
    assert (close_code, row.client_disconnected, row.error_type, row.response_bytes, row.llm_calls) == expected
    assert 0 < row.ttfb_ms < row.duration_ms
    calls = [e for e in spooled(home) if isinstance(e, LlmCall) and e.request_id == row.request_id]
    assert [call.parent_span_id for call in calls] == [row.span_id] * row.llm_calls


def test_a_websocket_that_is_refused(service: tuple[Home, str]) -> None:
    home, url = service

    async def main() -> None:
        with pytest.raises(websockets.InvalidStatus):
            await websockets.connect(url.replace("http", "ws") + "/refused", proxy=None)

    asyncio.run(main())
    (row,) = waited_for(home, "/refused", 1)
    assert (row.method, row.status_code, row.error_type, row.client_disconnected) == ("WEBSOCKET", 403, "", False)


def test_server_sent_events_are_one_row(service: tuple[Home, str]) -> None:
    home, url = service
    with urllib.request.urlopen(url + "/events", timeout=10) as answer:
        body = answer.read()
        request_id = answer.headers["x-request-id"]
    (row,) = (each for each in waited_for(home, "/events", 1) if each.request_id == request_id)
    assert (row.response_bytes, row.client_disconnected, row.error_type) == (len(body), False, "")
    assert 20 <= row.ttfb_ms < row.duration_ms


def test_a_reader_that_leaves_a_stream_is_one_row(service: tuple[Home, str]) -> None:
    home, url = service
    before = len([e for e in spooled(home) if isinstance(e, Request) and e.route == "/events"])
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"GET /events?count=1000 HTTP/1.1\r\nHost: x\r\n\r\n")
        while b"data: 0" not in connection.recv(65536):
            pass
    row = waited_for(home, "/events", before + 1)[-1]
    assert (row.status_code, row.client_disconnected, row.error_type) == (200, True, "")
    assert 0 < row.ttfb_ms < row.duration_ms < 5000


def test_what_goes_on_after_the_answer_belongs_to_its_request(service: tuple[Home, str]) -> None:
    home, url = service
    status, request_id = get(url + "/later")
    assert status == 200
    calls = waited_for(home, "/later", 5, LlmCall)
    (row,) = (e for e in spooled(home) if isinstance(e, Request) and e.request_id == request_id)
    assert len(calls) == 5
    assert {(call.request_id, call.tenant_id, call.trace_id) for call in calls} == {(request_id, "acme", row.trace_id)}
    assert (row.llm_calls, row.duration_ms < 200) == (0, True)


# --- queues --------------------------------------------------------------------------------------------------------


@pytest.fixture
def writer(monkeypatch: pytest.MonkeyPatch) -> MemoryWriter:
    monkeypatch.setattr(active, "_default", [])
    found = MemoryWriter()
    instrument(writer=found, mode="lean", service="worker", baggage=BAGGAGE, propagate_baggage=BAGGAGE)
    return found


def rows(writer: MemoryWriter) -> list[Request]:
    return [event for line in writer.lines if isinstance(event := decode(line), Request)]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with aws_on_loopback() as url:
        lead_boto3_to(url, monkeypatch)
        yield


@pytest.mark.usefixtures("aws")
def test_a_trace_goes_through_a_queue_and_a_second_delivery_is_a_second_request(writer: MemoryWriter) -> None:
    sqs = boto("sqs")
    url = sqs.create_queue(QueueName="jobs", Attributes={"VisibilityTimeout": "0"})["QueueUrl"]
    with job("producer"), step("send"):
        sqs.send_message(QueueUrl=url, MessageBody="{}", MessageAttributes=trace_attributes())

    def receive() -> list[dict[str, Any]]:
        answer = sqs.receive_message(
            QueueUrl=url, MessageAttributeNames=["All"], AttributeNames=["All"], MaxNumberOfMessages=10
        )
        found: list[dict[str, Any]] = answer["Messages"]
        return found

    (first,) = receive()
    with pytest.raises(ValueError, match="not yet"), consume(first, queue=url):
        raise ValueError("not yet")
    (second,) = receive()
    with consume(second, queue=url):
        sqs.delete_message(QueueUrl=url, ReceiptHandle=second["ReceiptHandle"])
    producer, failed, done = rows(writer)
    assert [row.route for row in (failed, done)] == ["jobs", "jobs"]
    assert [row.tags["attempt"] for row in (failed, done)] == ["1", "2"]
    assert [row.error_type for row in (failed, done)] == ["ValueError", ""]
    assert {row.trace_id for row in (failed, done)} == {producer.trace_id}
    assert {row.parent_span_id for row in (failed, done)} == {producer.steps[0].span_id}
    assert failed.request_id != done.request_id


@pytest.mark.usefixtures("aws")
def test_a_batch_of_a_queue_deletes_what_did_not_fail(writer: MemoryWriter) -> None:
    sqs = boto("sqs")
    url = sqs.create_queue(QueueName="jobs")["QueueUrl"]
    for body in ("a", "b", "c"):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]

    def handle(message: dict[str, Any]) -> None:
        if message["Body"] == "b":
            raise ValueError("b")

    failed = consume_batch(messages, handle, queue=url)["batchItemFailures"]
    (bad,) = (message["MessageId"] for message in messages if message["Body"] == "b")
    assert failed == [{"itemIdentifier": bad}]
    assert sorted(row.error_type for row in rows(writer)) == ["", "", "ValueError"]


@pytest.mark.usefixtures("aws")
def test_a_trace_goes_through_an_event_bus(writer: MemoryWriter) -> None:
    sqs, events = boto("sqs"), boto("events")
    url = sqs.create_queue(QueueName="completions")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="chat", EventPattern='{"source": ["ai-platform"]}')
    events.put_targets(Rule="chat", Targets=[{"Id": "1", "Arn": arn}])
    with job("producer"):
        detail = {"model": "gpt-4o", "tokens": 7, "status": "ok", "user_id": "u"} | trace_headers()
        entry = {"Source": "ai-platform", "DetailType": "ChatCompletion", "Detail": json.dumps(detail)}
        assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    with consume(json.loads(message["Body"])):
        pass
    producer, consumed = rows(writer)
    assert (consumed.method, consumed.route, consumed.trace_id) == ("QUEUE", "ChatCompletion", producer.trace_id)
    assert consumed.parent_span_id == producer.span_id
