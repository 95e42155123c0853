"""What Gherkin is the wrong language for."""
