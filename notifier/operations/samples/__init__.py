"""Samples: the parts of the sample data that `sample_cards` and `sample_digests` put together."""
