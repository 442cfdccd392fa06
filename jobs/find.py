"""Find on the cluster that this job is submitted to; the settings are those of ``omokage find``.

    ray job submit --address http://HEAD:8265 --working-dir . --runtime-env cluster/runtime_env.yaml -- \
        python jobs/find.py s3://bucket/dataset --json

Prints the report; exits 1 where the work failed, and the job with it. A job that was stopped, or lost its node, is
finished by the same command. The dataset must be where every node sees it.
Of a dataset on s3 each node fetches the index once, into its cache.
"""

import sys

from omokage import cli

if __name__ == "__main__":
    sys.argv[1:] = ["find", "--address", "auto", *sys.argv[1:]]
    cli.main()
