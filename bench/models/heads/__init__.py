"""Heads that turn features into class scores."""
