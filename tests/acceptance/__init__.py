"""The acceptance gate: holds each run against the feature files, and writes the living documentation.

plugin         pytest's hooks, which call the rest
catalogue      the stories, criteria, rulings, needed tools and the language, as features/catalogue.toml has them
specification  every feature file, parsed and compiled: the truth that a run is held against
lint           the rules for feature files
definitions    the step definitions, and what is wrong with them
evidence       what a scenario did: its steps, and the requests and responses under each
redaction      no token leaves a run
coverage       what the same run covered
verdict        criterion by criterion, what is proven
messages       the run as Cucumber Messages
page           the living documentation, by page.mako, page.css and page.js
changes        which rules and scenarios are new, reworded or gone between two commits
lying          pytest's hooks for a test of the steps: the application lies, and a scenario must notice
boundary       what a lie is, and where it changes what the application says and does
"""
