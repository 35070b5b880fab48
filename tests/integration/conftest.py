"""Fixtures of the integration suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redshift_double import RedshiftDouble, missing, redshift_double


@pytest.fixture(scope="session")
def redshift() -> Iterator[RedshiftDouble]:
    """Redshift's driver's view of a PostgreSQL; empty."""
    if reason := missing():
        pytest.skip(reason)
    with redshift_double() as double:
        yield double
