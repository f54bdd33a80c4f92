"""The figures of a report, one module each; every function takes boards and returns a figure, or None without data."""
