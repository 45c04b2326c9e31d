"""Pictures of a network as SVG text, each with the table that says the same."""
