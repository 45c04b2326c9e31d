"""Quality of supply: voltages by the week, and where energy is lost."""
