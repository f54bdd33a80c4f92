"""Result folders and the frame of all results."""
