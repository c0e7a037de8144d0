"""Picasso's text processor."""

from .processor import TextProcessor

__all__ = ["TextProcessor"]
