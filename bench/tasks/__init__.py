"""What depends on the kind of prediction: one folder a task."""
