"""How much memory a Falcon needs, and how it is shared out over devices."""
