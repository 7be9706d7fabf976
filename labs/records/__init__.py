"""The only home of state that must last: models, the database that holds them, and its migrations."""
