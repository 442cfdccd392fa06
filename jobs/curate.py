"""Decide, freeze, report, move and hand over on the cluster that this job is submitted to, without a person beside it.

    ray job submit --address http://HEAD:8265 --working-dir . --runtime-env cluster/runtime_env.yaml -- \
        python jobs/curate.py decide s3://bucket/dataset --same-face --json

The first word is a verb of ``omokage``, one of those that read or write a whole dataset; what follows are its
arguments. Prints the report; exits 1 where the work failed, and the job with it. The work is done where the job's
driver runs. A job that was stopped is finished by the same command. Who decided is "unknown" where the cluster's user
has no name: say --who.
"""

import sys
from typing import Final

from omokage import cli

VERBS: Final = ("decide", "version", "diff", "ledger", "undo", "apply", "report", "import", "export")
"""All but the review page, for which somebody must sit there."""

if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] not in VERBS:
        print(f"jobs/curate.py: give one of {', '.join(VERBS)}; got {sys.argv[1]!r}", file=sys.stderr)
        sys.exit(2)
    cli.main()
