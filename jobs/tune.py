"""Search for settings on the cluster that this job is submitted to; the settings are those of ``omokage tune``.

    ray job submit --address http://HEAD:8265 --working-dir . --runtime-env cluster/runtime_env.yaml -- \
        python jobs/tune.py s3://bucket/dataset@v2 s3://bucket/searches/first --trials 20 --json

Prints the report; exits 1 where the work failed, and the job with it. A job that was stopped, or lost its node, is
finished by the same command. Dataset and search must be where every node sees them.
Of a dataset on s3 each node fetches the chips once, into its cache.
"""

import sys

from omokage import cli

if __name__ == "__main__":
    sys.argv[1:] = ["tune", "--address", "auto", *sys.argv[1:]]
    cli.main()
