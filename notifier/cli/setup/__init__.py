"""The commands of a first run: init, try, completion."""
