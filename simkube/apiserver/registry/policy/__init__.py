"""Disruption budgets and priority classes: who may be disturbed, and who goes first."""
