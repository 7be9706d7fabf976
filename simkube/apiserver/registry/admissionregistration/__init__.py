"""Policies and webhooks that judge requests."""
