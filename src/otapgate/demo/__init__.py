"""`otapgate demo`: a complete example, and the main story told on it.

The people are invented; the application, the services, the keys and the commands are
real. Other parts of otapgate know nothing of this one.
"""
