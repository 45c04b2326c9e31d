"""What people see: command line, web console and HTTP API."""
