"""Its place puts this folder on the path, so that tests everywhere below it can import ``tables``."""

import signal
import threading

if threading.current_thread() is threading.main_thread():
    # a shell that starts tests in the background has Ctrl-C ignored, and what they start would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)
