"""The life of a job and its line: ids in a queue, everything else in the database."""
