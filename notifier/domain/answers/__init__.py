"""Questions that people ask the bot, and the answers to them."""
