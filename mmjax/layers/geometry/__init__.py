"""Cameras and places."""
