"""What a power flow means for the limits: findings, cuts and certificates."""
