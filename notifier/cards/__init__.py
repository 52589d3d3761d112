"""Cards: templates, rendering, and the texts that templates show."""
