"""Clients of AWS services as the sinks use them: bounded in time, and with no say of their own in credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tollmeter.model.errors import MissingExtraError

if TYPE_CHECKING:
    from tollmeter.model.settings import Settings

_CONNECT_S: Final = 5
_READ_S: Final = 20
_ATTEMPTS: Final = 2
_FAULT: Final = 500
_UNAVAILABLE: Final = 503  # refused before anything was done


def client(service: str, settings: Settings, *, attempts: int = _ATTEMPTS) -> Any:
    """A boto3 client for a service, of the settings' region; one attempt for calls that must not be made twice.

    Credentials, an assumed role, another endpoint come from where boto3 takes them: `AWS_PROFILE`, the task's or
    function's role, `AWS_ENDPOINT_URL`. A call takes at most about a minute: 5 s to connect, 20 s to answer, two tries.

    Raises:
        MissingExtraError: boto3 is not installed.
    """
    try:
        import boto3
        from botocore.config import Config
    except ModuleNotFoundError as error:
        raise MissingExtraError("boto3", "aws") from error
    retries = {"mode": "standard", "total_max_attempts": attempts}
    bounds = {"connect_timeout": _CONNECT_S, "read_timeout": _READ_S, "retries": retries}
    # The service judges what it is sent; botocore would look at each event and value of a call before it does.
    config = Config(**bounds, parameter_validation=False)
    made = boto3.client(service, region_name=settings.region or None, config=config)
    made.meta.events.register("after-call", _is_from_aws)
    return made


class StrangeAnswerError(Exception):
    """A good status from who is not AWS: a proxy, a login page. Nothing is known of what was sent."""


def _is_from_aws(parsed: dict[str, Any], **context: Any) -> None:
    # Every service names the request it answers, and what else speaks S3 at least the object.
    known = parsed.get("ResponseMetadata", {}).get("RequestId") or parsed.get("ETag")
    if "Error" not in parsed and not known:
        raise StrangeAnswerError(f"the answer to {context['model'].name} names no request id")


def error_code(error: Exception) -> str:
    """The service's code of a `ClientError`, such as `PreconditionFailed`; empty for any other error."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def is_in_doubt(error: Exception) -> bool:
    """Whether a call that ended so may have been carried out: the answer was lost, or told of a fault inside."""
    from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

    if isinstance(error, ReadTimeoutError | ConnectionClosedError | StrangeAnswerError):
        return True
    response = getattr(error, "response", None)
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) if isinstance(response, dict) else 0
    return status >= _FAULT and status != _UNAVAILABLE
