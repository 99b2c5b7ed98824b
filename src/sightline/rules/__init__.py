"""What happens when something is seen: conditions, quiet times, actions."""
