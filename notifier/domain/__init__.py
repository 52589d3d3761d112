"""Domain: values and rules without I/O."""
