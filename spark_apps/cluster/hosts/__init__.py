"""A cluster on several hosts: what runs where, and the way there."""
