"""A study: steps declared in one file and done in order, and a report of their results.

DIRECTORY/study.toml                  the study file
          study.json                  the same, as the report reads it
          results/STEP.json           the result of each step; these files suffice to resume and to report a study
          results/STEP/seed-N.*       the result of one seed, and its probabilities of the test texts
          preregistrations/STEP.json  the predictions that were written before the test split was opened
          ledger.json                 the opening of the test split
          results.json                the main figures of all steps
          language/                   the files of user-defined languages
          runs/STEP-HASH/             a run directory for each training; HASH is of its configuration
          report.md  report.html  report.pdf  figures/*.svg

A step is skipped if its result file has the same digest: of its configuration and of the digests of the steps that it
needs. So a changed configuration repeats exactly the steps that depend on it.
"""

from elman.study.declaration import Profile, Study, parse_study, read_study, study_from_file
from elman.study.engine import run_study

__all__ = ["Profile", "Study", "parse_study", "read_study", "run_study", "study_from_file"]
