"""Uncertainty of numbers: intervals, tests, and what a calibration split is good for.

Thin functions over `scipy.stats`. Import the modules: `from mmjax.statistics import bootstrap`.
"""
