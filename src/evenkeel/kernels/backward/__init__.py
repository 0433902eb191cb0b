"""Gradients of training batch normalization."""
