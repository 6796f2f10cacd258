"""The lesson, read in this order: config, positions, attention, decoder, backbone, causal_lm."""
