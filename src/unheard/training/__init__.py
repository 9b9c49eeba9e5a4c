"""Fine-tuning: encoder and head together, with torch and Lightning."""
