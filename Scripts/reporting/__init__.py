"""The report on one or more experiments: what Scripts/report is made of."""
