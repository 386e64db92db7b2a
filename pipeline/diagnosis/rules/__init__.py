"""The rules: pure functions from what is looked at to what was found. Their words are in pipeline.diagnosis.table."""
