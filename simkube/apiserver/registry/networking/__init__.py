"""Ingresses, network policies and the ranges of service addresses."""
