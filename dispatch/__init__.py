"""Forecasts and plans: what each asset should do in each interval, and why."""
