"""AWS signatures on requests that boto3 does not make."""

from __future__ import annotations

from typing import Final

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import NoCredentialsError
from requests import PreparedRequest
from requests.auth import AuthBase

_CONTENT_TYPE: Final = "Content-Type"


class SigV4(AuthBase):
    """Signs each attempt anew, over the bytes that are sent (packed, where they are) and the content type.

    Credentials are those boto3 finds, looked up at the first attempt and refreshed when they expire.

    Raises:
        NoCredentialsError: (when it signs) there are none.
    """

    def __init__(self, service: str, region: str) -> None:
        self._scope = (service, region)
        self._session = boto3.Session(region_name=region)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Put `Authorization`, `X-Amz-Date` and, with temporary credentials, their token on a request."""
        credentials = self._session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        # Other headers may be changed on the way, and a signature over them would not hold.
        headers = {_CONTENT_TYPE: request.headers[_CONTENT_TYPE]}
        signed = AWSRequest(request.method, request.url, headers=headers, data=request.body)
        SigV4Auth(credentials.get_frozen_credentials(), *self._scope).add_auth(signed)
        request.headers.update(dict(signed.headers.items()))
        return request
