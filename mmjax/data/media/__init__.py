"""Readers of foreign files: pictures, DICOM, sounds, points and time series, all opened safely."""
