"""From a graph to one function: prune, rewrite, order, generate straight-line code, run branches."""

from evenkeel.tf1.lower.program import Program, lower

__all__ = ["Program", "lower"]
