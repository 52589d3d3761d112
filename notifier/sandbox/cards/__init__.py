"""Cards: checks card JSON, reads its text, and presses its buttons."""
