"""Questions to the bot, and the answers that are queued for them."""
