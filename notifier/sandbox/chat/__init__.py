"""Messages in chats, and the people who write them."""
