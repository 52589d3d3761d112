"""The calls that create and change cards beside messages: card entities, delayed updates, cards for one person."""
