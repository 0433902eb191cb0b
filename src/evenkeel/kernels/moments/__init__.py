"""Mean and biased variance over axes."""
