"""What a dataset's faces show of an encoder: evaluations, audits and calibrations, their files and pages."""
