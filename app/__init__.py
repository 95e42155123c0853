"""The REST backend of a multi-user todo application."""
