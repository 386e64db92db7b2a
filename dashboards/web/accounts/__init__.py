"""Who may see and do what: organisations, people, sessions, tokens, and the walls between companies."""
