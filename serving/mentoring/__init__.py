"""Mentorships: who fits whom, the best pairs, their life from proposal to end, and what stands in the way."""
