"""Shared building blocks of students and teachers."""
