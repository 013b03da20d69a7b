"""The fast forms of :mod:`elman.models.plain`: the same weights and the same numbers, in less time."""
