"""Devices (dynamic resource allocation), and runtime classes."""
