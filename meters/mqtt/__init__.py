"""Sensors over MQTT: messages to samples without a socket, and the socket beside it."""
