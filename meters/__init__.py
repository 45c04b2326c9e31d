"""From bytes on a wire to validated intervals."""
