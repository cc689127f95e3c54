"""Class tables (ids, names, colours) and the maps between them; both are data, in TOML files."""
