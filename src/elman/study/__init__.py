"""A study: steps declared in one file, done in order, each leaving one small result file; and a report of them all.

DIRECTORY/study.toml               what was declared
          study.json               the same, as the report reads it
          results/STEP.json        what each step found; with these alone a study resumes, and is reported
          results/STEP/seed-N.*    the same of one seed, and what it said of the test texts
          hypotheses/STEP.json     what was expected before the test split was opened
          ledger.json              the opening
          results.json             the main figures of all
          language/                languages' own files, as they were
          runs/STEP-HASH/          a run directory for each training; HASH is of its configuration
          report.md  report.html  report.pdf  figures/*.svg

A step is skipped where its result file is there and bears the same digest: that of its own configuration and of the
digests of the steps that it needs. So a changed configuration repeats exactly what depends on it.
"""

from elman.study.declaration import Profile, Study, parse_study, read_study, study_from_file
from elman.study.engine import run_study

__all__ = ["Profile", "Study", "parse_study", "read_study", "run_study", "study_from_file"]
