"""Files: written whole or not at all, and read as if by a stranger."""
