"""Which entries of an overlay are for a call, and which of them is the most exact."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple, TypeVar

from tollmeter.pricing.catalog import Catalog
from tollmeter.pricing.names import PLAIN_TIERS, arn_region, model_name, provider_id, split_geography
from tollmeter.pricing.overlay import Scope

_S = TypeVar("_S", bound=Scope)
_EXACT: Final = 3
_SAME: Final = 2
_START: Final = 1
_ANY: Final = 0


class Asked(NamedTuple):
    """What a call says of itself, as far as prices depend on it."""

    provider: str
    model: str
    service_tier: str = ""
    resource_id: str = ""
    region: str = ""

    def resources(self) -> frozenset[str]:
        """The names, in lower case, that an entry for a resource may have for this call."""
        return frozenset((self.resource_id.lower(), self.model.lower()))


class Call:
    """A call as scopes see it."""

    def __init__(self, catalog: Catalog, asked: Asked, at: datetime) -> None:
        self._catalog = catalog
        self.name = model_name(asked.model)
        self._geography, self._plain = split_geography(self.name)
        self._region = (asked.region or arn_region(asked.resource_id) or arn_region(asked.model)).lower()
        self.at = at
        self.provider = provider_id(asked.provider)
        self.tier = "" if asked.service_tier in PLAIN_TIERS else asked.service_tier.lower()
        self.found = catalog.find(asked.provider, asked.model)

    def best(self, entries: Iterable[_S], tier: str) -> _S | None:
        """The most exact entry for this call that names this tier (empty: none): by model, then region, then date."""
        ranked = [(self._rank(entry), entry.valid_from, entry) for entry in entries if self._is_for(entry, tier)]
        fitting = [(rank, start, entry) for rank, start, entry in ranked if rank is not None]
        return max(fitting, key=lambda each: each[:2])[2] if fitting else None

    def covers(self, entry: Scope) -> bool:
        """Whether an entry is for this call, whatever its dates and tier."""
        return entry.provider == self.provider and self._rank(entry) is not None

    def _is_for(self, entry: Scope, tier: str) -> bool:
        return entry.provider == self.provider and entry.service_tier == tier and entry.holds(self.at)

    def _rank(self, entry: Scope) -> tuple[int, int, int] | None:
        if entry.region and not f"{self._region}-".startswith(f"{entry.region}-"):
            return None
        by_model = self._model_rank(entry.model)
        return (by_model, len(entry.model), len(entry.region)) if by_model is not None else None

    def _model_rank(self, model: str) -> int | None:
        if not model:
            return _ANY
        if model.endswith("*"):
            return _START if self.name.startswith(model[:-1]) else None
        if model == self.name:
            return _EXACT
        return _SAME if self._is_same(model) else None

    def _is_same(self, model: str) -> bool:
        """Whether a model is priced by the same row of the table; a geography in its name holds for that one alone."""
        geography, plain = split_geography(model_name(model))
        if geography not in ("", self._geography):
            return False
        if self.found is None:
            return plain == self._plain
        found = self._catalog.find(self.provider, model)
        return found is not None and found.model is self.found.model
