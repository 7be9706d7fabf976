"""The OpenAPI documents of one cluster: its schemas, its operations, and the form in which kubectl asks for them."""
