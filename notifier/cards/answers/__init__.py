"""What the cards of answers show."""
