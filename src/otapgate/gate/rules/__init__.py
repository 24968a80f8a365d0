"""The rules, one module a subject; each registers itself on import. Pure."""
