"""What is decided after training: temperatures, fusion weights, and when to abstain; numpy alone."""
