"""Values and gradients of the official implementations, and what runs our methods on the same inputs.

``python -m tests.goldens FILE...`` runs any file of the format; see ``load_golden.py`` for the format itself.
"""
