"""Run the sample service and its upstream, each in a process of its own, on free loopback ports.

The parent binds the port and hands the listening socket down, so no port can be lost to another process in between;
a child whose parent is gone, however it went, stops by itself.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tollmeter.model.errors import TollmeterError

if TYPE_CHECKING:
    import uvicorn

SERVICE: Final = "tollmeter.cli.sample.service:create_app"
UPSTREAM: Final = "tollmeter.cli.sample.upstream:create_upstream"

_HOST: Final = "127.0.0.1"
_BACKLOG: Final = 1024
_START_S: Final = 60.0
_STOP_S: Final = 30.0
_POLL_S: Final = 0.01
_ARGUMENTS: Final = 3


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: its base URL and its process."""

    url: str
    process: subprocess.Popen[bytes]

    @property
    def netloc(self) -> str:
        """Host and port."""
        return self.url.removeprefix("http://")

    def stop(self) -> int:
        """Ask for a graceful stop (SIGTERM), wait for it, and return the exit status.

        Raises:
            TollmeterError: the server did not stop in time; it has been killed.
        """
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise TollmeterError(f"the server at {self.url} did not stop within {_STOP_S:g} s") from None
        finally:
            if self.process.stdin:
                self.process.stdin.close()


@contextlib.contextmanager
def running(factory: str, env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A server of the app that `factory` makes, ready to answer; stopped at the end of the block.

    Raises:
        TollmeterError: the server did not come up, or did not stop.
    """
    with socket.create_server((_HOST, 0), backlog=_BACKLOG) as listener:
        url = f"http://{_HOST}:{listener.getsockname()[1]}"
        process, ready = _spawn(factory, listener.fileno(), env or {})
    server = Server(url, process)
    try:
        _await_ready(ready, server, factory)
        yield server
    finally:
        server.stop()


def _spawn(factory: str, listener: int, env: Mapping[str, str]) -> tuple[subprocess.Popen[bytes], int]:
    ready, tell = os.pipe()
    command = [sys.executable, "-m", "tollmeter.cli.sample.server", factory, str(listener), str(tell)]
    try:
        process = subprocess.Popen(  # noqa: S603  our own interpreter and module
            command, env=os.environ | dict(env), pass_fds=[listener, tell], stdin=subprocess.PIPE
        )
    except OSError:
        os.close(ready)
        raise
    finally:
        os.close(tell)
    return process, ready


def _await_ready(ready: int, server: Server, factory: str) -> None:
    # A pipe, not a request: what asks for a sign of life would be counted as traffic.
    try:
        if select.select([ready], [], [], _START_S)[0] and os.read(ready, 1):
            return
    finally:
        os.close(ready)
    raise TollmeterError(f"{factory} did not come up at {server.url}; its output above says why")


def _serve(factory: str, listener: int, tell: int) -> None:
    import uvicorn

    config = uvicorn.Config(factory, factory=True, log_level="warning", access_log=False, lifespan="on")
    server = uvicorn.Server(config)
    threading.Thread(target=_watch, args=[server, tell], daemon=True).start()
    server.run(sockets=[socket.socket(fileno=listener)])


def _watch(server: uvicorn.Server, tell: int) -> None:
    while not server.started:
        time.sleep(_POLL_S)
    os.write(tell, b"1")
    # Reading ends when the parent closes the pipe or dies. A raw read: a buffered one would hold a lock at exit.
    while os.read(sys.stdin.fileno(), 1):
        pass
    server.should_exit = True


if __name__ == "__main__":
    if len(sys.argv) != 1 + _ARGUMENTS:
        sys.exit("usage: python -m tollmeter.cli.sample.server MODULE:FACTORY LISTENER_FD READY_FD")
    _serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
