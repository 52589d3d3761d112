"""Checks of card JSON and of the text on cards."""
