"""The functions of ``tf``: every file of this folder is found by itself, by its ``__all__``."""
