"""Audit on the cluster that this job is submitted to; the settings are those of ``omokage audit``.

    ray job submit --address http://HEAD:8265 --working-dir . --runtime-env cluster/runtime_env.yaml -- \
        python jobs/audit.py s3://bucket/dataset@v2 s3://bucket/audits/first --groups csv:s3://bucket/groups.csv --json

Prints the report; exits 1 where the work failed, and the job with it. Vectors of another encoder (--encoder) are made
by all nodes, which must see the dataset and the encoder's files; groups are compared on the node that the job runs on.
"""

import sys

from omokage import cli

if __name__ == "__main__":
    sys.argv[1:] = ["audit", "--address", "auto", *sys.argv[1:]]
    cli.main()
