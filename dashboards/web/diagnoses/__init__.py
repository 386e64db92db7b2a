"""Diagnoses in the web app: files that people bring, what their columns mean, and what comes out of it."""
