"""Patterns of nodes that become one kernel; every file in this folder is found by itself."""
