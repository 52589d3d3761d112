"""From a press on a settings card to the stored preferences."""
