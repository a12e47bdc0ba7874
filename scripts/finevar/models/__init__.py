"""From a checkpoint to logits: the seam for a model, the families, tokenizer, machine; what runs share of PyTorch."""
