"""What happens when something fails: short circuits, what clears them, and how equipment ages."""
