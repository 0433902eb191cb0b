"""What surrounds a TensorFlow 1 program that runs as it stands: imports, notices, errors, checks.

``legacy_positional_xent`` is True while ``evenkeel run`` runs a program: then positional arguments of
softmax_cross_entropy_with_logits mean (logits, labels), the order from before TensorFlow 1.0.
"""

legacy_positional_xent: bool = False
