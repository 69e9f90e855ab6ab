"""What a person types and sees: one module per group of commands, each thin over its job."""
