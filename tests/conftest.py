"""Its place puts this folder on the path, so that tests everywhere below it can import ``tables``."""
