"""Parts of FeishuBox."""
