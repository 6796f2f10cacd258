"""Weights of eight bits: what they are, and the layers that hold them."""

import falcon_edu.model  # noqa: F401 (its parts hold these weights: whichever is asked first)
