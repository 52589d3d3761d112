"""Push: sends events and clicks to the bot, over its long connection or its webhook."""
