"""Training: the main job in order, groups in lockstep, what they tell and what they record."""
