"""From chips to a model: backbone, losses, batches, the loop. Knows torch, timm and PML, not Ray."""
