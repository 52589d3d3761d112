"""Cards and preferences: the settings card, and cards in the language that a person chose."""
