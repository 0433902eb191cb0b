"""Normalization by given statistics."""
