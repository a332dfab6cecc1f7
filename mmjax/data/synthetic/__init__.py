"""Made-up data sets whose best possible score is known."""
