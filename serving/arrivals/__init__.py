"""Histories on their way in: uploads, requests, and what arrived."""
