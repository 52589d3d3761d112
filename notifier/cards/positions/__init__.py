"""Positions: from the path of a value in a card to its line and column in the JSON file or the template."""
