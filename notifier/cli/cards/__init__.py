"""The commands about cards: preview, lint, replay."""
