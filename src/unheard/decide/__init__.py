"""What is decided after training: temperatures, fusion weights, and when to give no answer; numpy alone."""
