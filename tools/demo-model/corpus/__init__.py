"""Generators of synthetic conversations, one module per kind of conversation."""
