"""A detector that learns while photographs are labelled: each change costs what it changes."""
