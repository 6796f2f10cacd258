"""Weights of eight bits: what they are, and the layers that hold them."""
