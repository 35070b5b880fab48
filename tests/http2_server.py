"""A model provider on loopback that speaks HTTP/2 alone, without TLS, as clients with prior knowledge want it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, StreamEnded


def _answer(connection: H2Connection, stream: int, pieces: list[bytes]) -> None:
    connection.send_headers(
        stream, [(":status", "200"), ("content-type", "text/event-stream"), ("x-request-id", "req_2")]
    )
    for piece in pieces:
        connection.send_data(stream, piece)
    connection.end_stream(stream)


def _serve(client: socket.socket, pieces: list[bytes]) -> None:
    connection = H2Connection(H2Configuration(client_side=False))
    connection.initiate_connection()
    client.sendall(connection.data_to_send())
    with contextlib.suppress(OSError):
        while data := client.recv(65536):
            for event in connection.receive_data(data):
                if isinstance(event, DataReceived):
                    connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if isinstance(event, StreamEnded):
                    _answer(connection, event.stream_id, pieces)
            client.sendall(connection.data_to_send())
    client.close()


def _accept(listener: socket.socket, pieces: list[bytes]) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(client, pieces), daemon=True).start()


@contextmanager
def http2_server(pieces: list[bytes]) -> Iterator[str]:
    """Answers every request with these pieces of a stream; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_accept, args=(listener, pieces), daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
