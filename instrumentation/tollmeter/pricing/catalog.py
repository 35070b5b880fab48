"""Which model of the price table a name means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from tollmeter.pricing.match import exact_names, is_match
from tollmeter.pricing.names import model_name, provider_id, with_dashed_date
from tollmeter.pricing.table import Model, Provider, Table

_CACHE_SIZE: Final = 4096


class Found(NamedTuple):
    """A model of the table, the provider it stands under, and whether that is the provider asked for."""

    provider: str
    model: Model
    own: bool


class Catalog:
    """Finds models in one table; what was found and what was missed is remembered, within a bound."""

    def __init__(self, table: Table) -> None:
        self.source = f"{table.source} {table.version}"
        self.providers = {provider.id: provider for provider in table.providers}
        self._exact: dict[str, dict[str, Model]] = {}
        self._found: dict[tuple[str, str], Found | None] = {}

    def provider(self, name: str) -> Provider | None:
        """The provider that an OpenTelemetry name, or a name of the table, means."""
        return self.providers.get(provider_id(name))

    def find(self, provider: str, model: str) -> Found | None:
        """The model that a name means at a provider, given by its OpenTelemetry name or the table's own."""
        key = (provider, model)
        if key in self._found:
            return self._found[key]
        if len(self._found) >= _CACHE_SIZE:
            self._found.clear()
        self._found[key] = found = self._search(provider, model.strip().lower())
        return found

    def _search(self, provider: str, model: str) -> Found | None:
        own = self.provider(provider)
        if own is None or not model:
            return None
        candidates = (own, *(self.providers[other] for other in own.fallback if other in self.providers))
        for name in dict.fromkeys((model, with_dashed_date(model), model_name(model))):
            for candidate in candidates:
                if hit := self._match(candidate, name):
                    return Found(candidate.id, hit, candidate is own)
        return None

    def _match(self, provider: Provider, name: str) -> Model | None:
        exact = self._exact.get(provider.id)
        if exact is None:
            exact = self._exact[provider.id] = _exact_index(provider.models)
        return exact.get(name) or next((model for model in provider.models if is_match(model.match, name)), None)


def _exact_index(models: Iterable[Model]) -> dict[str, Model]:
    index: dict[str, Model] = {}
    for model in models:
        for name in exact_names(model.match):
            index.setdefault(name, model)
    return index
