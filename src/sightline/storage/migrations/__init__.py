"""Changes of the tables, one file each in ``versions``. `sightline.storage.migrate` runs them."""
