"""Usage and cost: what a call consumed, and what that costs at the price of its day."""

from tollmeter.pricing.book import price
from tollmeter.pricing.cost import Cost
from tollmeter.pricing.extract import extract_usage
from tollmeter.pricing.usage import Usage

__all__ = ["Cost", "Usage", "extract_usage", "price"]
