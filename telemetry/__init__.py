"""The ground floor: the words every other room speaks. It imports nothing of ours."""
