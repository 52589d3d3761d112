"""The accounts commands: register people, list their accounts, switch them on and off, and read them again."""
