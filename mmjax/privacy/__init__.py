"""Anonymising tables, texts, pictures and DICOM files before anything is trained on them."""
