"""Commands of the command line that live outside ``bench.cli``."""
