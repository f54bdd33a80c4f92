"""What every distillation method must hold, checked on small models and in-memory samples in a second or two.

``python -m bench check-method NAME|file.py`` and the pytest fixture ``check_method`` run the same checks. Nothing is
imported here: pytest loads the fixture's module at every start.
"""
