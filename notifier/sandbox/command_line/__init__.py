"""The command `feishu-sandbox`: the stand-in for Feishu alone, for any bot."""
