"""What the API server refuses in an object of the right shape, with its messages.

After ``pkg/apis/*/validation``: every function adds to a list of field errors and returns nothing. Shape and types are
checked before (strict decoding); what depends on other objects is admission.
"""
