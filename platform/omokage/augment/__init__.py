"""Other looks of a picture, as tensors: turned, lit, blurred, covered, seen through another lens. Knows no tables."""
