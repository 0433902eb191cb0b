"""``tf.gradients``: which nodes it makes (backprop), and what each type contributes (rules)."""
