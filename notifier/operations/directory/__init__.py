"""People and groups at Feishu, as the configuration needs them: ids for operators and chats."""
