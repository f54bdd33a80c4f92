"""What depends on the kind of prediction: criterion, evaluator, primary metric."""
