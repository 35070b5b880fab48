"""What a deployment needs, rendered: the same options always give the same bytes.

`ecs` is a task definition with the forwarder beside the service, `lambda` the way from a function's log to the raw
folder, `iam` the policy of the forwarder, `dashboard` the dashboard behind a load balancer that signs viewers in;
`container` and `dashboard-container` are the files their images are built from.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from importlib.resources import files
from typing import Final

from tollmeter.exporters.deploy import dashboard, ecs, functions, policy
from tollmeter.exporters.deploy.options import Deployment
from tollmeter.exporters.deploy.stack import Stack, cloudformation, terraform
from tollmeter.model.errors import UnknownNameError

__all__ = ["CONTAINERS", "FORMATS", "TARGETS", "Deployment", "container_file", "render"]

TARGETS: Final[dict[str, Callable[[Deployment], Stack]]] = {
    "ecs": ecs.stack,
    "lambda": functions.stack,
    "iam": policy.stack,
    "dashboard": dashboard.stack,
}
CONTAINERS: Final = {"container": "Dockerfile", "dashboard-container": "Dockerfile.dashboard"}
FORMATS: Final[dict[str, Callable[[Stack], str]]] = {"cloudformation": cloudformation, "terraform": terraform}


def render(target: str, form: str, deployment: Deployment) -> str:
    """One target in one format.

    Raises:
        UnknownNameError: there is no such target, format or sink.
        SettingError: a sink lacks what its permissions name, such as the bucket.
    """
    if target not in TARGETS:
        raise UnknownNameError("deployment target", target, TARGETS)
    if form not in FORMATS:
        raise UnknownNameError("deployment format", form, FORMATS)
    return FORMATS[form](TARGETS[target](deployment))


def container_file(target: str = "container") -> str:
    """A Dockerfile of `CONTAINERS`, of this version: of the forwarder, or of the dashboard."""
    return (files(__name__) / CONTAINERS[target]).read_text().replace("{version}", version("tollmeter"))
