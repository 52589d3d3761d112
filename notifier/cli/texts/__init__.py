"""Chinese texts of the command line that cannot stand beside the English ones: help, and what click itself prints."""
