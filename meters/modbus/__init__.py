"""Modbus TCP meters and SunSpec devices."""
