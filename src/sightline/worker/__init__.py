"""Minutes-long work: a parent that supervises, children that keep their models warm."""
