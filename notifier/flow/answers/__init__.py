"""From a question to the bot to the deliveries that answer it."""
