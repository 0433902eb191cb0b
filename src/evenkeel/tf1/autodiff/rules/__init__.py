"""The gradient of each operation type, one family a file; found by themselves."""
