"""Clients of the AWS services that a lake is made of: one way to credentials, an assumed role and another endpoint."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tollmeter.model.errors import MissingExtraError, SettingError

if TYPE_CHECKING:
    from tollmeter.model.home import LakePlace

_CONNECT_S: Final = 5
_READ_S: Final = 60
_ATTEMPTS: Final = 5
_SESSION_NAME: Final = "tollmeter"


class Credentials(NamedTuple):
    """Keys of the moment, and the region they are used in."""

    access_key: str
    secret_key: str
    token: str | None
    region: str | None


def client(service: str, place: LakePlace, *, attempts: int = _ATTEMPTS) -> Any:
    """A boto3 client for a service; one attempt for calls that must not be made twice.

    Raises:
        MissingExtraError: boto3 is not installed.
    """
    session = _session(place.region, place.endpoint, place.role_arn)
    from botocore.config import Config

    retries = {"mode": "standard", "total_max_attempts": attempts}
    config = Config(connect_timeout=_CONNECT_S, read_timeout=_READ_S, retries=retries)
    return session.client(service, endpoint_url=place.endpoint or None, config=config)


def frozen_credentials(place: LakePlace) -> Credentials:
    """The keys that boto3 finds now: of the role, if one is to be assumed.

    Raises:
        MissingExtraError: boto3 is not installed.
        SettingError: there are no credentials.
    """
    session = _session(place.region, place.endpoint, place.role_arn)
    found = session.get_credentials()
    if found is None:
        raise SettingError("lake_url", place.url, "credentials that boto3 finds, such as AWS_PROFILE or a role")
    keys = found.get_frozen_credentials()
    return Credentials(keys.access_key, keys.secret_key, keys.token, session.region_name)


def error_code(error: Exception) -> str:
    """The service's code of a `ClientError`, such as `PreconditionFailed`; empty for any other error."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


@lru_cache(maxsize=8)
def _session(region: str, endpoint: str, role_arn: str) -> Any:
    try:
        import boto3
    except ModuleNotFoundError as error:
        raise MissingExtraError("boto3", "aws") from error
    session = boto3.Session(region_name=region or None)
    return _assumed(session, endpoint, role_arn) if role_arn else session


def _assumed(session: Any, endpoint: str, role_arn: str) -> Any:
    """A session of a role; its credentials are fetched anew before they expire."""
    import boto3
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
    from botocore.session import Session

    def create_client(*args: Any, **kwargs: Any) -> Any:
        return session.client(*args, **(kwargs | {"endpoint_url": endpoint or None}))

    fetcher = AssumeRoleCredentialFetcher(
        client_creator=create_client,
        source_credentials=session.get_credentials(),
        role_arn=role_arn,
        extra_args={"RoleSessionName": _SESSION_NAME},
    )
    inner = Session()
    # botocore has no public way to hand a session credentials that refresh themselves.
    inner._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")  # noqa: SLF001
    return boto3.Session(botocore_session=inner, region_name=session.region_name)
