"""`notifier preview`: the page with a card, its picture, and its sending to one person as a test."""
