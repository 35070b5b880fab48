"""Usage and cost: what a call consumed, and what that costs at the price of its day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollmeter.model.lazy import names_from

if TYPE_CHECKING:
    from tollmeter.pricing.book import price
    from tollmeter.pricing.cost import Cost
    from tollmeter.pricing.documents import usage_of
    from tollmeter.pricing.extract import extract_further, extract_usage
    from tollmeter.pricing.shapes.anthropic import FurtherUsage
    from tollmeter.pricing.usage import Usage
else:
    __getattr__ = names_from(
        __name__,
        {
            "Cost": ".cost",
            "FurtherUsage": ".shapes.anthropic",
            "Usage": ".usage",
            "extract_further": ".extract",
            "extract_usage": ".extract",
            "price": ".book",
            "usage_of": ".documents",
        },
    )

__all__ = ["Cost", "FurtherUsage", "Usage", "extract_further", "extract_usage", "price", "usage_of"]
