"""Makes the vectors of a dataset's chips, as a process that can be killed: DATASET ENCODER SETTINGS (JSON)."""

import json
import sys

from omokage.flows.encoded import EncodedConfig, encoded
from omokage.store import Dataset

if __name__ == "__main__":
    place, encoder, settings = sys.argv[1:]
    found = encoded(Dataset.open(place), encoder, config=EncodedConfig(**json.loads(settings)))
    told = {"made": found.made, "files": found.files, "remarks": found.remarks, "folder": found.folder.url}
    sys.stdout.write(json.dumps(told))
