"""The calls about messages beside sending: history, edits, forwards, reactions, pins, urgent messages, resources."""
