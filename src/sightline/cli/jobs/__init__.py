"""``sightline jobs …``, and ``--job`` of the commands whose work can be one."""
