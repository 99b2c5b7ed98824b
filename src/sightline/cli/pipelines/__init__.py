"""``sightline pipelines …``: one file a command."""
