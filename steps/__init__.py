"""The step definitions of the feature files."""
