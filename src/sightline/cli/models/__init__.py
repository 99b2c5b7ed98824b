"""``sightline models …``: one file a command."""
