"""Ray: the only folder that imports it.

What Ray reads when it is imported is said here, before anything in this folder can import it.
"""

import os

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
# Without a token any user of the machine could run code as us through a local cluster's ports. A cluster that
# runs without says so with RAY_AUTH_MODE=disabled.
os.environ.setdefault("RAY_AUTH_MODE", "token")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # what Ray's next version does anyway
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # its remarks on our actors are not for the terminal
os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")  # ours shows pictures
# Ray's own switch for macOS, where a cluster of this machine alone lives on loopback. Without it Ray takes the
# machine's outer address, listens on every interface, and opens a socket to a public server to learn that address.
os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
