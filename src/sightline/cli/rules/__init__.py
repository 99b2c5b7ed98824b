"""``sightline rules …``: one file a command."""
