"""Usage and cost: what a call consumed, and what that costs at the price of its day."""

from tollmeter.pricing.book import price
from tollmeter.pricing.cost import Cost
from tollmeter.pricing.documents import usage_of
from tollmeter.pricing.extract import extract_further, extract_usage
from tollmeter.pricing.shapes.anthropic import FurtherUsage
from tollmeter.pricing.usage import Usage

__all__ = ["Cost", "FurtherUsage", "Usage", "extract_further", "extract_usage", "price", "usage_of"]
