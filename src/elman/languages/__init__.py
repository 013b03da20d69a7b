"""Formal languages with known probabilities."""
