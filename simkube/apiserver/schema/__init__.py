"""The shape of objects: the OpenAPI definitions, strict decoding, canonical form, custom schemas."""
