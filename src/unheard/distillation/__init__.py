"""Distillation: a small student network that learns to imitate layers of a pretrained teacher, without labels."""
