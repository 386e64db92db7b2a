"""The web app: the API that programs read and the pages that people read."""
