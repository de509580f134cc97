"""One batch of photographs: detect, crop, remove, composite, look again."""
