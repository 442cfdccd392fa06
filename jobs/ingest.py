"""Ingest on the cluster that this job is submitted to; the settings are those of ``omokage ingest``.

    ray job submit --address http://HEAD:8265 --working-dir . --runtime-env cluster/runtime_env.yaml -- \
        python jobs/ingest.py s3://bucket/pictures s3://bucket/dataset --json

Prints the report; exits 1 where the work failed, and the job with it. A job that was stopped, or lost its node, is
finished by the same command. Source and dataset must be where every node sees them.
"""

import sys

from omokage import cli

if __name__ == "__main__":
    sys.argv[1:] = ["ingest", "--address", "auto", *sys.argv[1:]]
    cli.main()
