"""Picasso's PDF processor."""

from .processor import PdfProcessor

__all__ = ["PdfProcessor"]
