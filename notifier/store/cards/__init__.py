"""Cards: states of posted cards, their buttons, digest panels and batches."""
