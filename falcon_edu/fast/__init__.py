"""What makes it quick and changes no number."""
