"""Cards: what posted cards show, their buttons, digest panels and batches."""
