"""Encryption of files and folders at rest: AES-256-GCM by the `cryptography` package."""
