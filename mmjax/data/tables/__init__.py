"""Data sets of the user's own: tables of files, texts and labels."""

from mmjax.data.tables import columns as columns
