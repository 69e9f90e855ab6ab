"""What a run stands on: the virtual environment, Java, memory, native threads."""
