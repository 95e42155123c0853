"""The sentences of the feature files, and what they do."""
