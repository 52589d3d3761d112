"""The work of `notifier init`: check the credentials, render the files, write them, and name the next steps."""
