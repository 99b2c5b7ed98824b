"""Terminal words → calls. The only room that prints; every command is a file of its own."""
