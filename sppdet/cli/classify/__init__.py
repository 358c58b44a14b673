"""``sppdet classify``: classification networks, one module per command."""
