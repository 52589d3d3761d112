"""Sends events and card clicks to the app, over its long connection or its webhook."""
