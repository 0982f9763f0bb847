"""Checks of the students' answers, a file for each tutorial; ``compare`` serves them all."""
